/**
 * Putting Firecracker into a jail, when we are root: its own root directory with nothing in it but hard links to the files that it
 * needs, its own user, no way back (Firecracker's docs/jailer.md). The cgroup is the one that every VM has.
 */
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  realpathSync,
  statSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { runProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import type { Machine } from "../../model/machine.ts";
import { processMarker, type RunDir } from "../port.ts";
import { type JailOwner, jailOwner, jailRoot } from "./jail-paths.ts";
import { removeJails } from "./jail-removal.ts";
import { createLogFiles, insideName, jailedPlaces, type Places } from "./places.ts";

export interface JailSettings {
  /** The jailer's program. */
  readonly jailer: string;
  /** Where jails are made, absolute; made when it is not there, for root alone. */
  readonly base: string;
}

export interface Jail {
  readonly root: string;
  readonly owner: JailOwner;
  readonly places: Places;
  /** The jailer's arguments, up to and including `--`. */
  readonly args: readonly string[];
  /** Removes the jail; its process has ended. Safe to repeat. */
  remove(): Promise<void>;
}

/** A file of the host that the process shall see by the same name. */
interface Resident {
  readonly path: string;
  readonly writable: boolean;
}

/**
 * Makes the jail of a machine, in place of one that a crash left. Kernel, initramfs and read-only disks become readable for
 * everybody who can reach them, which is nobody but root and the jail; writable disks become the jail's own. Errors:
 * `unavailable` (a file is missing, or cannot be brought into the jail).
 */
export async function createJail(
  machine: Machine,
  dir: RunDir,
  options: JailSettings & { readonly program: string; readonly snapshotDir?: string },
): Promise<Jail> {
  const { base, program } = options;
  mkdirSync(base, { recursive: true, mode: 0o700 });
  await removeJails(base, machine.id);
  const owner = jailOwner(machine.id);
  const root = jailRoot(base, basename(program), machine.id);
  const places = jailedPlaces(dir, root);
  const remove = (): Promise<void> => removeJails(base, machine.id);
  try {
    mkdirSync(root, { recursive: true, mode: 0o700 });
    createLogFiles(places);
    const needed = residents(machine, places, options.snapshotDir);
    for (const resident of new Map(needed.map((one) => [one.path, one])).values()) {
      await bringIn(resident, { root, owner, stateDir: dir.stateDir });
    }
  } catch (error) {
    await remove();
    throw error;
  }
  const user = ["--uid", String(owner.uid), "--gid", String(owner.gid)];
  const args = [
    "--id",
    processMarker(machine.id),
    "--exec-file",
    program,
    ...user,
    "--chroot-base-dir",
    base,
    "--",
  ];
  return { root, owner, places, args, remove };
}

function residents(machine: Machine, places: Places, snapshotDir: string | undefined): readonly Resident[] {
  const snapshot = snapshotDir === undefined ? [] : [join(snapshotDir, "state"), join(snapshotDir, "memory")];
  return [
    // A resumed machine has both in its memory.
    ...(snapshotDir === undefined ? [machine.kernelPath, machine.initramfsPath] : snapshot).map((path) => ({
      path,
      writable: false,
    })),
    ...machine.disks.map(({ path, readOnly }) => ({ path, writable: !readOnly })),
    { path: places.log.host, writable: true },
    { path: places.metrics.host, writable: true },
  ];
}

async function bringIn(
  { path, writable }: Resident,
  jail: { readonly root: string; readonly owner: JailOwner; readonly stateDir: string },
): Promise<void> {
  const target = join(jail.root, insideName(jail.stateDir, path));
  try {
    makeDirectories(dirname(target), jail.root);
    await linkOrMount(realpathSync(path), target);
    if (writable) chownSync(path, jail.owner.uid, jail.owner.gid);
    else if ((statSync(path).mode & 0o004) === 0) chmodSync(path, (statSync(path).mode & 0o777) | 0o044);
  } catch (cause) {
    throw new BangerError(
      "unavailable",
      `cannot bring ${path} into the jail: ${BangerError.from(cause).message}`,
      {
        cause,
      },
    );
  }
}

/** The jail's user has to pass them, whatever our umask is. */
function makeDirectories(path: string, root: string): void {
  if (path === root || existsSync(path)) return;
  makeDirectories(dirname(path), root);
  mkdirSync(path);
  chmodSync(path, 0o755);
}

/** A file of another file system cannot be linked; it is mounted, which the jailer's own mount name space then has, too. */
async function linkOrMount(path: string, target: string): Promise<void> {
  try {
    linkSync(path, target);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error;
    closeSync(openSync(target, "wx", 0o600));
    await runProgram(["mount", "--bind", path, target], { aptPackage: "mount", stdout: "ignore" });
  }
}
