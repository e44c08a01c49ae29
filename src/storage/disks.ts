/**
 * The writable layer of a VM and volumes: raw disk files, sparse, with an ext4 file system that is made in
 * milliseconds. Files belong to the caller, who keeps them away from two writers at once.
 */
import { open, stat, truncate } from "node:fs/promises";
import { publishFile, storageError } from "../lib/publish.ts";
import { type ProgramEnd, runProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";

/** Room for a journal of 4 MiB and something beside it. */
export const MIN_DISK_BYTES: number = 16 * 1024 ** 2;
export const MAX_DISK_BYTES: number = 16 * 1024 ** 4;

const BLOCK_BYTES = 4096;
/** Every disk can grow at least this far; each 8 GiB of it costs one written block of descriptors. */
const GROW_TO_BYTES = 1024 ** 4;

/**
 * Makes a sparse disk of exactly `sizeBytes` with an empty ext4 file system. A crash half-way leaves no file
 * of that name. `sizeBytes` is a multiple of 4096. Errors: `invalid_argument` (size), `already_exists`,
 * `resource_exhausted`, `unavailable` (no mkfs.ext4).
 */
export async function createDisk(path: string, sizeBytes: number): Promise<void> {
  validateSize(sizeBytes);
  // Checked again when it is published; this only saves the work.
  if (await isThere(path)) throw new BangerError("already_exists", `the disk ${path} exists already`);
  await publishFile(path, async (temporary) => {
    const file = await open(temporary, "wx", 0o600);
    try {
      await file.truncate(sizeBytes);
    } finally {
      await file.close();
    }
    await makeFileSystem(temporary, sizeBytes);
  });
}

/**
 * Makes a disk larger; the guest grows the file system. The same size again is fine. May be done while a VM
 * runs. Errors: `not_found`, `invalid_argument` (size, or smaller than it is), `resource_exhausted`.
 */
export async function growDisk(path: string, sizeBytes: number): Promise<void> {
  validateSize(sizeBytes);
  const { size } = await stat(path).catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") {
      throw new BangerError("not_found", `there is no disk ${path}`, { cause: error });
    }
    throw error;
  });
  if (sizeBytes < size) {
    throw new BangerError("invalid_argument", "a disk cannot shrink", { details: { sizeBytes: size } });
  }
  await truncate(path, sizeBytes).catch((error: unknown) => {
    throw storageError(error, path);
  });
}

/**
 * Chosen options (mke2fs(8)): a journal, because a killed guest has no fsck and must mount again after
 * replaying it; no blocks reserved for root, because root is the guest's ordinary user; the file is known to
 * read as zeros, so that neither we nor the guest's lazy initialisation write inode tables; no discard,
 * because a fresh file has nothing to discard.
 */
async function makeFileSystem(path: string, sizeBytes: number): Promise<void> {
  const growToBlocks = Math.min(2 ** 32 - 1, Math.max(GROW_TO_BYTES, sizeBytes * 16) / BLOCK_BYTES);
  const extended = ["nodiscard", "root_owner=0:0", `resize=${growToBlocks}`];
  const run = (zeroed: string): Promise<unknown> =>
    runProgram(
      [
        "mkfs.ext4",
        "-q",
        "-F",
        `-b${BLOCK_BYTES}`,
        "-m0",
        `-Jsize=${journalMib(sizeBytes)}`,
        `-E${[...extended, zeroed].join(",")}`,
        path,
      ],
      { stdout: "ignore", aptPackage: "e2fsprogs", failure: (end) => mkfsFailure(end, path) },
    );
  await run("assume_storage_prezeroed=1").catch(async (error: unknown) => {
    // e2fsprogs before 1.47 does not know the option; there the guest initialises in the background.
    if (!(error instanceof BangerError && /Bad option/u.test(error.message))) throw error;
    await run("lazy_itable_init=1,lazy_journal_init=1");
  });
}

/**
 * What the journal may take of the host's disk once it is in use: a sixteenth, at least 4 MiB (ext4's least),
 * at most 32 MiB.
 */
function journalMib(sizeBytes: number): number {
  return Math.min(32, Math.max(4, Math.floor(sizeBytes / 1024 ** 2 / 16)));
}

function mkfsFailure(end: ProgramEnd, path: string): BangerError {
  if (/No space left|Disk quota|File too large/u.test(end.stderrTail)) {
    return new BangerError("resource_exhausted", `no space left for the disk ${path}`, {
      cure: "free space with: banger prune",
    });
  }
  return new BangerError("internal", `mkfs.ext4 failed on ${path}: ${end.stderrTail}`, {
    details: { ...end },
  });
}

function validateSize(sizeBytes: number): void {
  if (!Number.isSafeInteger(sizeBytes) || sizeBytes % BLOCK_BYTES !== 0) {
    throw new BangerError(
      "invalid_argument",
      `a disk's size is a multiple of ${BLOCK_BYTES} bytes, not ${sizeBytes}`,
    );
  }
  if (sizeBytes < MIN_DISK_BYTES || sizeBytes > MAX_DISK_BYTES) {
    throw new BangerError("invalid_argument", `a disk has between 16 MiB and 16 TiB, not ${sizeBytes} bytes`);
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    },
  );
}
