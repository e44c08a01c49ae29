/** Room kept for the bad day: on a full disk a VM must still be stopped and removed, and that is a row to write. */
import { randomBytes } from "node:crypto";
import { existsSync, rmSync, writeFileSync } from "node:fs";
import { BangerError } from "../model/errors.ts";

/** A few rows need a few pages of 4 KiB in the write-ahead log. */
const RESERVE_BYTES = 256 * 1024;

export class SpaceReserve {
  readonly #path: string;

  /** `path`: the file that holds the room; made when absent and there is room for it. */
  constructor(path: string) {
    this.#path = path;
    if (existsSync(path)) return;
    try {
      // Bytes that differ: a file system that compresses or leaves holes would keep nothing.
      writeFileSync(path, randomBytes(RESERVE_BYTES), { mode: 0o600 });
    } catch {
      // No room now: there is nothing to keep, and the next start tries again.
      rmSync(path, { force: true });
    }
  }

  /** Runs a write; when the disk is full, once more with the room given up. Errors: `resource_exhausted`, `unavailable` (locked). */
  write<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (!isFull(error) || !existsSync(this.#path)) throw storeError(error);
    }
    rmSync(this.#path, { force: true });
    try {
      return work();
    } catch (error) {
      throw storeError(error);
    }
  }
}

/**
 * Opens the database; where that fails because the disk is full, once more with the room at `path` given up: a daemon has to start, for
 * how else is a VM removed? Errors: those of `open`.
 */
export function openWithReserve<T>(path: string, open: () => T): T {
  try {
    return open();
  } catch (error) {
    const isForRoom = error instanceof BangerError && isFull(error.cause) && existsSync(path);
    if (!isForRoom) throw error;
  }
  rmSync(path, { force: true });
  return open();
}

/** Translates what the database throws where a user can cure it; everything else passes through. */
export function storeError(error: unknown): unknown {
  if (isFull(error)) return full(error);
  if (!codeOf(error).startsWith("SQLITE_BUSY")) return error;
  return new BangerError("unavailable", "the database is locked by another program", {
    cure: "end the program that holds it, then repeat the command",
    cause: error,
  });
}

function isFull(error: unknown): boolean {
  const code = codeOf(error);
  return code === "SQLITE_FULL" || code.startsWith("SQLITE_IOERR") || code === "ENOSPC";
}

function codeOf(error: unknown): string {
  return error instanceof Error && "code" in error ? String(error.code) : "";
}

function full(cause: unknown): BangerError {
  return new BangerError("resource_exhausted", "the disk of the state directory is full", {
    cure: "free space, for example with: banger prune",
    cause,
  });
}
