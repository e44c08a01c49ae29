/** Finds the groups of VMs wherever they are: an earlier daemon may have been started from another group than this one. */
import type { CgroupFiles } from "./cgroup-files.ts";
import { parseCgroupMounts } from "./cgroup-mounts.ts";

/** A host has some hundreds of groups. */
const MAX_DIRECTORIES = 20_000;

/** Directories by name, of all groups named `banger-<id>`. Only looks. */
export function findGroups(files: CgroupFiles): Map<string, string[]> {
  const found = new Map<string, string[]>();
  const open = parseCgroupMounts(files.read("/proc/self/mountinfo") ?? "").map((mount) => mount.mountPoint);
  for (let seen = 0; seen < MAX_DIRECTORIES; seen++) {
    const directory = open.pop();
    if (directory === undefined) break;
    for (const name of files.directories(directory)) {
      const path = `${directory}/${name}`;
      if (/^banger-[0-9a-f]{12}$/.test(name)) found.set(name, [...(found.get(name) ?? []), path]);
      else open.push(path);
    }
  }
  return found;
}
