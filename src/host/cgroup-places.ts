/** Where this process may make groups for others, for each limit; or why it may not. Only looks. */
import { LIMIT_NAMES, type LimitName } from "../model/limits.ts";
import { CONTROLLERS } from "./cgroup-controls.ts";
import type { CgroupFiles } from "./cgroup-files.ts";
import { groupDirectory, parseCgroupMemberships, parseCgroupMounts } from "./cgroup-mounts.ts";
import { type Absence, findUnified, type Unified } from "./cgroup-unified.ts";

/** A directory in which a group for a VM can be made. */
export interface Place {
  readonly version: 1 | 2;
  readonly parent: string;
  readonly limits: readonly LimitName[];
  /** Controllers that the children get only once `cgroup.subtree_control` of the parent is told so. */
  readonly enable: readonly string[];
}

export interface Places {
  /** One for each hierarchy; a limit is in one of them at most. */
  readonly places: readonly Place[];
  readonly absent: ReadonlyMap<LimitName, Absence>;
}

/** The controllers of version 1 where the host has them there, else version 2: a controller is in one hierarchy only (cgroups(7)). */
export function findPlaces(files: CgroupFiles): Places {
  const mounts = parseCgroupMounts(files.read("/proc/self/mountinfo") ?? "");
  const memberships = parseCgroupMemberships(files.read("/proc/self/cgroup") ?? "");
  const absent = new Map<LimitName, Absence>();
  const legacy = new Map<string, LimitName[]>();
  const modern: LimitName[] = [];
  for (const name of LIMIT_NAMES) {
    const controller = CONTROLLERS[1][name];
    const own = memberships.find((one) => one.version === 1 && one.controllers.includes(controller));
    const mount = mounts.find((one) => one.version === 1 && one.controllers.includes(controller));
    if (own === undefined || mount === undefined) {
      modern.push(name);
      continue;
    }
    const parent = groupDirectory(mount, own.path);
    if (parent === undefined) absent.set(name, OUTSIDE);
    else if (mount.readOnly) absent.set(name, READ_ONLY);
    else if (!files.writable(parent)) absent.set(name, LEGACY_DENIED);
    else legacy.set(parent, [...(legacy.get(parent) ?? []), name]);
  }
  const places = [...legacy].map(([parent, limits]): Place => ({ version: 1, parent, limits, enable: [] }));
  if (modern.length === 0) return { places, absent };

  const own = memberships.find((one) => one.version === 2)?.path;
  const mount = mounts.find((one) => one.version === 2);
  if (own === undefined || mount === undefined)
    return { places, absent: refuse(absent, modern, NOT_MOUNTED) };
  const directory = groupDirectory(mount, own);
  if (directory === undefined) return { places, absent: refuse(absent, modern, OUTSIDE) };
  if (mount.readOnly) return { places, absent: refuse(absent, modern, READ_ONLY) };
  const unified = findUnified(files, { own: directory, mountPoint: mount.mountPoint });
  return { places: [...places, ...placeIn(unified, modern, absent)], absent };
}

/** The place of the limits whose controllers version 2 has for us; the other limits become absent. */
function placeIn(unified: Unified, wanted: readonly LimitName[], absent: Map<LimitName, Absence>): Place[] {
  const limits = wanted.filter((name) => unified.controllers.has(CONTROLLERS[2][name]));
  for (const name of wanted)
    if (!limits.includes(name)) absent.set(name, unified.absence(CONTROLLERS[2][name]));
  if (unified.parent === undefined || limits.length === 0) return [];
  const enable = limits
    .map((name) => CONTROLLERS[2][name])
    .filter((name) => unified.controllers.get(name) === "off");
  return [{ version: 2, parent: unified.parent, limits, enable }];
}

function refuse(
  absent: Map<LimitName, Absence>,
  names: readonly LimitName[],
  absence: Absence,
): typeof absent {
  for (const name of names) absent.set(name, absence);
  return absent;
}

const NOT_MOUNTED: Absence = {
  why: "no cgroup file system with the controller is mounted",
  cure: "as root: mount -t cgroup2 none /sys/fs/cgroup",
};
const OUTSIDE: Absence = {
  why: "the mounted cgroup file system does not show the daemon's own group",
  cure: "mount the cgroup file system of the daemon's own cgroup namespace",
};
const READ_ONLY: Absence = {
  why: "the cgroup file system is mounted read-only, as containers have it",
  cure: "give the container a writable /sys/fs/cgroup",
};
const LEGACY_DENIED: Absence = {
  why: "cgroup v1 groups are made by root only",
  cure: "boot the host with systemd.unified_cgroup_hierarchy=1, or run the daemon as root",
};
