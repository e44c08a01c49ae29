/**
 * A directory tree that behaves like cgroup version 2 as far as banger uses it: groups come with the control files that
 * their parent hands down, refuse what the kernel refuses, and every write is recorded. A test lays out the host around it.
 */
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { type CgroupFiles, createCgroupFiles } from "../../src/host/cgroup-files.ts";
import { identifyProcess } from "../../src/lib/process-identity.ts";

const MOUNT = "/sys/fs/cgroup";
/** What a controller gives to a child, with the kernel's defaults. */
const FILES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  memory: { "memory.max": "max" },
  cpu: { "cpu.max": "max 100000" },
  pids: { "pids.max": "max" },
  io: { "io.weight": "default 100" },
};

export interface KernelTree extends CgroupFiles, Disposable {
  /** `PATH TEXT` of each write, in order. */
  readonly writes: readonly string[];
  /** Makes a group, seen from the mount; its parents exist. `procs`: pids in it. */
  group(path: string, options?: { readonly procs?: readonly number[]; readonly controllers?: string }): void;
}

export interface KernelTreeOptions {
  /** The controllers of the whole host. */
  readonly controllers: string;
  /** The group of this process. */
  readonly own: string;
  /** Directories that belong to somebody else. */
  readonly foreign?: readonly string[];
  /** Mount options; default `rw`. */
  readonly options?: string;
}

export function createKernelTree(options: KernelTreeOptions): KernelTree {
  const root = mkdtempSync(join(tmpdir(), "banger-cgroup-"));
  const files = createCgroupFiles(root);
  const writes: string[] = [];
  const put = (path: string, text: string): void => writeFileSync(join(root, path), text);
  const procs = (group: string): number[] =>
    (files.read(`${group}/cgroup.procs`) ?? "")
      .split("\n")
      .map(Number)
      // The kernel lists the living only.
      .filter((pid) => pid > 0 && identifyProcess(pid) !== undefined);
  const make = (group: string): void => {
    mkdirSync(join(root, group));
    put(`${group}/cgroup.procs`, "");
    put(`${group}/cgroup.subtree_control`, "");
    if (group === MOUNT) return;
    put(`${group}/cgroup.type`, "domain\n");
    put(`${group}/cgroup.kill`, "");
    const offered = files.read(`${dirname(group)}/cgroup.subtree_control`) ?? "";
    put(`${group}/cgroup.controllers`, offered);
    for (const name of offered.split(" ")) giveFiles(group, name);
  };
  const giveFiles = (group: string, controller: string): void => {
    for (const [file, value] of Object.entries(FILES[controller] ?? {})) put(`${group}/${file}`, value);
  };
  const enable = (group: string, text: string): void => {
    if (procs(group).length > 0 && group !== MOUNT) throw new Error("EBUSY: internal processes");
    const names = text.split(" ").map((name) => name.slice(1));
    const offered = (files.read(`${group}/cgroup.controllers`) ?? "").split(" ");
    if (names.some((name) => !offered.includes(name))) throw new Error("ENOENT: controller not offered");
    const now = (files.read(`${group}/cgroup.subtree_control`) ?? "").split(" ");
    put(`${group}/cgroup.subtree_control`, [...new Set([...now, ...names])].filter(Boolean).join(" "));
    for (const child of files.directories(group))
      for (const name of names) giveFiles(`${group}/${child}`, name);
  };
  mkdirSync(join(root, "proc/self"), { recursive: true });
  put("/proc/self/cgroup", `0::${options.own}\n`);
  put(
    "/proc/self/mountinfo",
    `30 23 0:26 / ${MOUNT} ${options.options ?? "rw"} - cgroup2 cgroup2 rw,nsdelegate\n`,
  );
  mkdirSync(join(root, "sys/fs"), { recursive: true });
  make(MOUNT);
  put(`${MOUNT}/cgroup.controllers`, options.controllers);
  const isForeign = (path: string): boolean =>
    options.foreign?.some((group) => path === MOUNT + group || dirname(path) === MOUNT + group) === true;
  return {
    writes,
    read: (path) => (path.endsWith("/cgroup.procs") ? procs(dirname(path)).join("\n") : files.read(path)),
    directories: (path) => files.directories(path),
    writable: (path) => !isForeign(path) && files.writable(path),
    write(path, text) {
      if (isForeign(path)) throw new Error("EACCES");
      if (!existsSync(join(root, path))) throw new Error(`ENOENT: ${path}`);
      writes.push(`${path.slice(MOUNT.length)} ${text}`);
      if (path.endsWith("/cgroup.subtree_control")) enable(dirname(path), text);
      else if (path.endsWith("/cgroup.procs"))
        put(path, `${readFileSync(join(root, path), "utf8")}${text}\n`);
      else if (path.endsWith("/cgroup.kill"))
        for (const pid of procs(dirname(path))) process.kill(pid, "SIGKILL");
      else put(path, text);
    },
    makeDirectory(path) {
      if (!existsSync(join(root, path))) make(path);
    },
    removeDirectory(path) {
      if (procs(path).length > 0 || files.directories(path).length > 0) throw new Error("EBUSY");
      rmSync(join(root, path), { recursive: true, force: true });
    },
    group(path, { procs: pids = [], controllers } = {}) {
      make(MOUNT + path);
      put(`${MOUNT}${path}/cgroup.procs`, pids.join("\n"));
      if (controllers !== undefined) put(`${MOUNT}${path}/cgroup.subtree_control`, controllers);
    },
    [Symbol.dispose]: () => rmSync(root, { recursive: true, force: true }),
  };
}
