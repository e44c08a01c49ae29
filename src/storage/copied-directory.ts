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
 * `permission_denied` for a file that cannot be read; `resource_exhausted`; `unavailable` when mksquashfs is missing.
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
    failure: ({ stderrTail }) => {
      const code = stderrTail.includes("No space left")
        ? "resource_exhausted"
        : stderrTail.includes("Permission denied")
          ? "permission_denied"
          : "internal";
      return new BangerError(code, `cannot copy the directory ${path}: ${stderrTail}`);
    },
  });
  await rename(aside, image);
}
