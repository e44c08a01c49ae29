/** Work that others should not notice: the last place in the queue for the processor. */
import { readdirSync, writeFileSync } from "node:fs";
import { setPriority } from "node:os";

const LAST = 19;

/**
 * Puts every thread of a process behind all others (setpriority(2), whose unit in Linux is the thread), and the process's session, too,
 * where the kernel weighs sessions against each other (sched(7), autogroup). What has ended meanwhile is left alone.
 */
export function lowerPriority(pid: number): void {
  for (const thread of attempt(() => readdirSync(`/proc/${pid}/task`)) ?? []) {
    attempt(() => setPriority(Number(thread), LAST));
  }
  attempt(() => writeFileSync(`/proc/${pid}/autogroup`, String(LAST)));
}

function attempt<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    // Gone, or a kernel without: it is a courtesy, and nothing relies on it.
    return undefined;
  }
}
