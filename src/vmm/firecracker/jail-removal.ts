/**
 * Removing a jail. A jailed process may have filled it as it liked, so nothing in it is believed: no symbolic link is followed,
 * no mount is crossed, and nothing outside is touched.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  unlinkSync,
} from "node:fs";
import { basename, dirname, join } from "node:path";
import { runProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import { processMarker } from "../port.ts";

const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;
/** Deeper than anything that is put into a jail. */
const MAX_DEPTH = 64;

/**
 * Removes the jails of a VM under `base`, whatever the program in them was called. Its process has ended. Succeeds with
 * nothing there, and may be repeated. Errors: `internal` (something is mounted in it that cannot be unmounted).
 */
export async function removeJails(base: string, id: string): Promise<void> {
  const programs = readdirSync(base, { withFileTypes: true }).filter((entry) => entry.isDirectory());
  for (const { name } of programs) await removeJail(join(base, name, processMarker(id)));
}

async function removeJail(path: string): Promise<void> {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined) return;
  for (const mount of mountsBelow(path).toReversed()) {
    await runProgram(["umount", "--no-canonicalize", mount], { aptPackage: "mount", stdout: "ignore" });
  }
  const [left] = mountsBelow(path);
  if (left !== undefined) {
    throw new BangerError("internal", `the jail ${path} is not removed: ${left} is mounted in it`, {
      cure: `umount ${left}`,
    });
  }
  const parent = openSync(dirname(path), DIRECTORY);
  try {
    removeTree(parent, basename(path), { device: fstatSync(parent).dev, depth: 0 });
  } finally {
    closeSync(parent);
  }
}

/** Mount points at or below a directory, outer ones first (proc(5), /proc/PID/mountinfo). */
function mountsBelow(path: string): string[] {
  return readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => unescapeMount(line.split(" ")[4] ?? ""))
    .filter((mount) => mount === path || mount.startsWith(`${path}/`));
}

/** Space, tab, newline and backslash are written as octal numbers there. */
function unescapeMount(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_whole, octal: string) =>
    String.fromCharCode(Number.parseInt(octal, 8)),
  );
}

/** Removes `name` in an open directory. Every step goes through a descriptor, so that nobody can put another directory in its way. */
function removeTree(parent: number, name: string, at: { device: number; depth: number }): void {
  const path = `/proc/self/fd/${parent}/${name}`;
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isDirectory()) return unlinkSync(path);
  const directory = openSync(path, DIRECTORY);
  try {
    if (fstatSync(directory).dev !== at.device || at.depth > MAX_DEPTH) {
      throw new BangerError(
        "internal",
        `a jail is not removed: ${name} in it is another file system, or too deep`,
      );
    }
    for (const child of readdirSync(`/proc/self/fd/${directory}`)) {
      removeTree(directory, child, { device: at.device, depth: at.depth + 1 });
    }
  } finally {
    closeSync(directory);
  }
  rmdirSync(path);
}
