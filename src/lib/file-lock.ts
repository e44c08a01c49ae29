/** flock(2): locks that vanish with the process that holds them, whatever ended it. */
import { dlopen } from "bun:ffi";
import { closeSync, openSync } from "node:fs";

const LOCK_EX = 2;
const LOCK_NB = 4;

/** A held lock; disposing lets it go. */
export interface FileLock extends Disposable {
  readonly path: string;
}

/** Takes the lock of `path` (made when absent, mode 0600), waiting for it; blocks the whole process meanwhile. */
export function waitForFileLock(path: string): FileLock {
  const lock = take(path, LOCK_EX);
  if (lock === undefined) throw new Error(`flock ${path} failed`);
  return lock;
}

/** Takes the lock of `path`, or returns undefined when another process holds it. */
export function tryFileLock(path: string): FileLock | undefined {
  return take(path, LOCK_EX | LOCK_NB);
}

function take(path: string, how: number): FileLock | undefined {
  // Close-on-exec, as all files that Bun opens: a hypervisor must never inherit it.
  const file = openSync(path, "a", 0o600);
  const { symbols } = dlopen("libc.so.6", { flock: { args: ["i32", "i32"], returns: "i32" } });
  if (symbols.flock(file, how) !== 0) {
    closeSync(file);
    return undefined;
  }
  return { path, [Symbol.dispose]: () => closeSync(file) };
}
