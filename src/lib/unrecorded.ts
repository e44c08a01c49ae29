/**
 * A mark in a directory whose record is not written yet, or is about to go: it says that no record is missed. A directory without the
 * mark that no record knows is somebody's data whose record was lost, as when an older database was brought back.
 */
import { closeSync, existsSync, fsyncSync, openSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { storageError } from "./publish.ts";

interface Flush {
  readonly flush?: boolean;
}

/** An empty file of that name. */
export const UNRECORDED = "unrecorded";

/**
 * No record is missed from here on. On disk when it returns, unless it says `flush: false`; safe to repeat. A directory that is not there is
 * well. Errors: `resource_exhausted`.
 */
export function markUnrecorded(dir: string, { flush = true }: Flush = {}): void {
  try {
    writeFileSync(join(dir, UNRECORDED), "", { mode: 0o600 });
    if (flush) syncDirectory(dir);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw storageError(error, dir);
  }
}

/**
 * The same before a removal, which is not to fail for want of room for a mark. One that cannot be made costs nothing but this: a removal that
 * is cut off between its record and its files is undone.
 */
export function tryMarkUnrecorded(dir: string): void {
  try {
    markUnrecorded(dir);
  } catch {
    // As said above.
  }
}

/** From here on the directory is somebody's, whatever a database says. Flushed as `markUnrecorded`; safe to repeat. */
export function unmarkUnrecorded(dir: string, { flush = true }: Flush = {}): void {
  if (!isUnrecorded(dir)) return;
  rmSync(join(dir, UNRECORDED), { force: true });
  if (flush) syncDirectory(dir);
}

export function isUnrecorded(dir: string): boolean {
  return existsSync(join(dir, UNRECORDED));
}

/** Flushes the names in a directory, not what they stand for. */
export function syncDirectory(dir: string): void {
  const handle = openSync(dir, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}
