/** Processes of the host, for tests that must not leak any. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
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

/** All live hypervisors of banger on this host. A child of the fake one looks like it until its execve(2), and is none. */
function hypervisors(): number[] {
  const found = readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readCommandLine(pid).some((argument) => /^banger-[0-9a-f]{12}$/.test(argument)))
    .filter((pid) => identifyProcess(pid) !== undefined);
  return found.filter((pid) => !found.includes(parentOf(pid)));
}

/** Field 4 of /proc/PID/stat (proc(5)); 0 when it has ended. */
function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    // It ended between the listing and now.
    return 0;
  }
}

function logOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/fd/2`);
  } catch {
    // It ended between the listing and now: it writes no log.
    return "";
  }
}
