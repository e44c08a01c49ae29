/** Processes of the host, for tests that must not leak any. */
import { readdirSync, readlinkSync } from "node:fs";
import { identifyProcess, readCommandLine } from "../../src/lib/process-identity.ts";
import { watchProcess } from "../../src/lib/process-watch.ts";

/** Kills a process and resolves when it has ended. */
export async function killToTheEnd(pid: number | undefined): Promise<void> {
  const handle = pid === undefined ? undefined : identifyProcess(pid);
  const watch = handle === undefined ? undefined : await watchProcess(handle);
  if (watch === undefined) throw new Error(`there is no process ${pid} to kill`);
  watch.signal("SIGKILL");
  await watch.ended;
}

/** Live hypervisors (real or fake) whose log is under `home`. */
export function hypervisorsOf(home: string): number[] {
  return hypervisors().filter((pid) => logOf(pid).startsWith(`${home}/`));
}

/** All live hypervisors of banger on this host. */
function hypervisors(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readCommandLine(pid).some((argument) => /^banger-[0-9a-f]{12}$/.test(argument)))
    .filter((pid) => identifyProcess(pid) !== undefined);
}

function logOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/2`);
  } catch {
    // It ended between the listing and now: it writes no log.
    return "";
  }
}
