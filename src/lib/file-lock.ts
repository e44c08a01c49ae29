/** flock(2): locks that vanish with the process that holds them, whatever ended it. */
import { closeSync, openSync } from "node:fs";
import { flock, SystemCallError } from "./libc.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;

/** A held lock; disposing lets it go. */
export interface FileLock extends Disposable {
  readonly path: string;
}

/** Takes the lock of `path` (made when absent, mode 0600), waiting for it; blocks the whole process meanwhile. */
export function waitForFileLock(path: string): FileLock {
  return take(path, LOCK_EX);
}

/** Takes the lock of `path`, or returns undefined when another process holds it. */
export function tryFileLock(path: string): FileLock | undefined {
  try {
    return take(path, LOCK_EX | LOCK_NB);
  } catch (error) {
    // Anything else, such as a file system without locks, is no lock that somebody holds.
    if (error instanceof SystemCallError && error.code === "EAGAIN") return undefined;
    throw error;
  }
}

function take(path: string, how: number): FileLock {
  // Close-on-exec, as all files that Bun opens: a hypervisor must never inherit it.
  const file = openSync(path, "a", 0o600);
  try {
    flock(file, how);
  } catch (error) {
    closeSync(file);
    throw error;
  }
  return { path, [Symbol.dispose]: () => closeSync(file) };
}
