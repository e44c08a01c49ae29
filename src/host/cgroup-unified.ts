/**
 * Version 2: the nearest group above this process that hands controllers to its children and that this user may write
 * to. The rules are those of the kernel's Documentation/admin-guide/cgroup-v2.rst, "Organizing Processes and Threads"
 * and "Delegation".
 */
import type { CgroupFiles } from "./cgroup-files.ts";

/** Why something cannot be limited here. */
export interface Absence {
  readonly why: string;
  readonly cure: string;
}

export interface Unified {
  /** Where groups can be made; undefined: nowhere. */
  readonly parent: string | undefined;
  /** What children of `parent` can have: at once (`on`), or once it is enabled there (`off`). */
  readonly controllers: ReadonlyMap<string, "on" | "off">;
  /** Why a controller that is not among them is missing. */
  readonly absence: (controller: string) => Absence;
}

/** `own`: the directory of this process's group. A controller is offered by `parent` or by no group. */
export function findUnified(
  files: CgroupFiles,
  at: { readonly own: string; readonly mountPoint: string },
): Unified {
  for (const parent of upwards(at.own, at.mountPoint)) {
    const controllers = offered(files, parent);
    if (controllers.size === 0) continue;
    return {
      parent,
      controllers,
      absence: (name) => (has(files, at.mountPoint, name) ? NOT_HANDED_DOWN : UNKNOWN),
    };
  }
  const reason = files.writable(`${at.own}/cgroup.procs`) ? crowded(at.own) : NOT_DELEGATED;
  const absence = (name: string): Absence => (has(files, at.mountPoint, name) ? reason : UNKNOWN);
  return { parent: undefined, controllers: new Map(), absence };
}

function* upwards(from: string, to: string): Generator<string> {
  for (let directory = from; ; directory = directory.slice(0, directory.lastIndexOf("/"))) {
    yield directory;
    if (directory.length <= to.length) return;
  }
}

function offered(files: CgroupFiles, parent: string): Map<string, "on" | "off"> {
  const offer = new Map<string, "on" | "off">();
  // A process may be moved by whoever may write to cgroup.procs of the group that contains both its old and its new one.
  if (!files.writable(parent) || !files.writable(`${parent}/cgroup.procs`)) return offer;
  const type = files.read(`${parent}/cgroup.type`)?.trim();
  // Threaded groups take no processes of others. The root of the whole hierarchy has no such file.
  if (type !== undefined && type !== "domain") return offer;
  // "No internal processes": what has processes of its own cannot hand controllers down; only the root can.
  const free = type === undefined || files.read(`${parent}/cgroup.procs`)?.trim() === "";
  if (free && files.writable(`${parent}/cgroup.subtree_control`)) {
    for (const name of words(files, `${parent}/cgroup.controllers`)) offer.set(name, "off");
  }
  for (const name of words(files, `${parent}/cgroup.subtree_control`)) offer.set(name, "on");
  return offer;
}

function has(files: CgroupFiles, mountPoint: string, controller: string): boolean {
  return words(files, `${mountPoint}/cgroup.controllers`).includes(controller);
}

function words(files: CgroupFiles, path: string): string[] {
  return (files.read(path) ?? "").split(/\s+/).filter((word) => word !== "");
}

const UNKNOWN: Absence = {
  why: "the kernel offers no such controller here",
  cure: "boot a kernel that has it, without cgroup_disable= on its command line",
};
const NOT_DELEGATED: Absence = {
  why: "no group is delegated to the daemon",
  cure: "banger daemon stop; systemd-run --user --scope -p Delegate=yes banger daemon start",
};
const NOT_HANDED_DOWN: Absence = {
  why: "the controller is not delegated to this user",
  cure: "as root: add Delegate=cpu io memory pids below [Service] with systemctl edit user@.service; log in again, and restart the daemon",
};

/** The daemon sits in the topmost group that it may write to, as in a container: that group's processes are in the way. */
function crowded(own: string): Absence {
  return {
    why: `${own} is the daemon's to divide, but has processes in it`,
    cure: `as root: mkdir -p ${own}/inner && xargs -rn1 < ${own}/cgroup.procs > ${own}/inner/cgroup.procs; then restart the daemon`,
  };
}
