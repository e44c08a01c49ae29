/** Where cgroup hierarchies are mounted, and where in each a process sits: /proc/PID/mountinfo and /proc/PID/cgroup (proc(5), cgroups(7)). */
import { join } from "node:path";

export interface CgroupMount {
  readonly version: 1 | 2;
  readonly mountPoint: string;
  /** Which directory of the hierarchy is seen at the mount point. */
  readonly root: string;
  /** Of version 1: the controllers of the hierarchy. */
  readonly controllers: readonly string[];
  readonly readOnly: boolean;
}

/** A process's place in one hierarchy. */
export interface CgroupMembership {
  readonly version: 1 | 2;
  readonly controllers: readonly string[];
  /** From the root of the hierarchy, as the reader's cgroup namespace shows it; begins with `/..` outside of that. */
  readonly path: string;
}

/** The cgroup mounts among all mounts, in their order; lines of any other shape are passed over. */
export function parseCgroupMounts(mountinfo: string): CgroupMount[] {
  return mountinfo.split("\n").flatMap((line) => {
    // 36 35 98:0 ROOT MOUNT-POINT OPTIONS [tags…] - TYPE SOURCE SUPER-OPTIONS
    const [before, after] = splitOnce(line, " - ");
    const [, , , root, mountPoint, options = ""] = before.split(" ");
    const [type, , superOptions = ""] = after.split(" ");
    if (root === undefined || mountPoint === undefined || (type !== "cgroup" && type !== "cgroup2"))
      return [];
    const own = superOptions.split(",");
    return {
      version: type === "cgroup" ? 1 : 2,
      mountPoint: unescapeOctal(mountPoint),
      root: unescapeOctal(root),
      // The super options of version 1 are the controllers, among a few flags that no controller is named like.
      controllers:
        type === "cgroup"
          ? own.filter((word) => /^[a-z_]+$/.test(word) && word !== "rw" && word !== "ro")
          : [],
      readOnly: options.split(",").includes("ro") || own.includes("ro"),
    };
  });
}

/** Lines are `ID:CONTROLLERS:PATH`; version 2 is the one with the id 0 and no controllers. */
export function parseCgroupMemberships(text: string): CgroupMembership[] {
  return text.split("\n").flatMap((line) => {
    const found = /^(\d+):([^:]*):(\/.*)$/.exec(line);
    if (found === null) return [];
    const [, hierarchy, controllers = "", path = ""] = found;
    const version = hierarchy === "0" ? 2 : 1;
    return { version, controllers: controllers.split(",").filter((name) => name !== ""), path };
  });
}

/** The directory of a group seen through a mount; undefined when the mount does not show it. */
export function groupDirectory(mount: CgroupMount, path: string): string | undefined {
  if (path === "/.." || path.startsWith("/../")) return undefined;
  const root = mount.root === "/" ? "" : mount.root;
  if (path !== root && !path.startsWith(`${root}/`)) return undefined;
  return join(mount.mountPoint, path.slice(root.length)).replace(/\/$/, "");
}

function splitOnce(text: string, separator: string): [string, string] {
  const at = text.indexOf(separator);
  return at < 0 ? [text, ""] : [text.slice(0, at), text.slice(at + separator.length)];
}

/** Space, tab, newline and backslash stand as three octal digits (proc(5)). */
function unescapeOctal(text: string): string {
  return text.replaceAll(/\\([0-7]{3})/g, (_, digits: string) =>
    String.fromCharCode(Number.parseInt(digits, 8)),
  );
}
