/** A directory of the host as one read-only file system: what it holds now, everything root's. */
import { statSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { runProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";

/** For the queues of mksquashfs, whose default is a quarter of the host's memory. */
const MEMORY = "64M";

/** Errors: `not_found`, `failed_precondition` for what is no directory. */
export function demandDirectory(path: string): void {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status === undefined) {
    throw new BangerError("not_found", `there is no directory ${path}, which the VM mounts`, {
      cure: "make it, or remove the VM and make one without it",
    });
  }
  if (!status.isDirectory()) throw new BangerError("failed_precondition", `${path} is no directory`);
}

/**
 * Makes `image` of it; links are copied as links. Replaces what an earlier start has left. Errors: those of `demandDirectory`;
 * `permission_denied` for a file that cannot be read; `conflict` for one that vanished meanwhile; `resource_exhausted`; `unavailable` when
 * mksquashfs is missing.
 */
export async function copyDirectory(path: string, image: string): Promise<void> {
  demandDirectory(path);
  const aside = `${image}.new`;
  await rm(aside, { force: true });
  const flags = [
    "-noappend",
    "-comp",
    "lz4",
    "-all-root",
    "-no-xattrs",
    "-exit-on-error",
    "-no-progress",
    "-quiet",
  ];
  await runProgram(["mksquashfs", path, aside, ...flags, "-mem", MEMORY], {
    stdout: "ignore",
    aptPackage: "squashfs-tools",
    failure: ({ stderrTail }) => copyFailure(path, stderrTail),
  });
  await rename(aside, image);
}

/** What mksquashfs means by its last words; it ends at the first file that it cannot copy. */
export function copyFailure(path: string, words: string): BangerError {
  const what = `cannot copy the directory ${path}: ${words}`;
  if (words.includes("No space left")) {
    return new BangerError("resource_exhausted", what, {
      cure: "free room where the state of banger is, or mount a smaller directory",
    });
  }
  if (words.includes("Permission denied")) {
    return new BangerError("permission_denied", what, {
      cure: "make its files readable for you, or mount a directory that is",
    });
  }
  if (words.includes("No such file or directory") || words.includes("Failed to read file")) {
    return new BangerError("conflict", what, {
      cure: "wait until nothing writes into it, and start the VM again",
    });
  }
  return new BangerError("internal", what);
}
