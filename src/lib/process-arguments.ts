/**
 * The arguments of a process that may be in the middle of execve(2): the kernel lets go of the old command line some microseconds,
 * and on a busy host or a slow disk milliseconds, before it puts the new one in place. Until then a process has a program and no
 * arguments, and nobody can tell whose it is.
 *
 * Before that, between vfork(2) and execve(2), a child shows its parent's arguments. No look meets a daemon's child there: the daemon's
 * own thread waits in vfork(2) until then, and the next daemon has to wait for the lock, which the child holds until execve(2)
 * closes it, behind the change of arguments (fs/exec.c: begin_new_exec).
 */
import { readlinkSync } from "node:fs";
import { type ProcessHandle, readCommandLine } from "./process-identity.ts";
import { watchProcess } from "./process-watch.ts";
import { settlesWithin } from "./settles-within.ts";

/** So long a process is waited for; one that has had no arguments for longer has none. */
const EXEC_MS = 2_000;
/** Between two looks, unless it ends: nothing tells of the end of an execve(2). */
const LOOK_MS = 1;

/** The arguments of a process, its own name first, once it has them; empty when it has ended or is a kernel thread. */
export async function settledArguments(
  handle: ProcessHandle,
  read: (pid: number) => readonly string[] = readCommandLine,
): Promise<readonly string[]> {
  const { pid } = handle;
  const first = read(pid);
  if (first.length > 0 || !hasProgram(pid)) return first;
  const watch = await watchProcess(handle);
  if (watch === undefined) return [];
  try {
    const until = performance.now() + EXEC_MS;
    for (;;) {
      const found = read(pid);
      if (found.length > 0 || !hasProgram(pid) || performance.now() >= until) return found;
      if (await settlesWithin(watch.ended, LOOK_MS)) return [];
    }
  } finally {
    watch.release();
  }
}

/** Whether it runs a file (proc(5), /proc/pid/exe): a kernel thread never does, and one that ends does not any more. */
export function hasProgram(pid: number): boolean {
  try {
    readlinkSync(`/proc/${pid}/exe`);
    return true;
  } catch {
    // It has none, or it is nobody's business of ours.
    return false;
  }
}
