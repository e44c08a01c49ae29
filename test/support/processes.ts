/** Processes of the host, for tests that must not leak any. */
import { readdirSync, readlinkSync } from "node:fs";
import { identifyProcess, readCommandLine } from "../../src/lib/process-identity.ts";

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
