/** Processes of the host, for tests that must not leak any. */
import { readdirSync, readFileSync } from "node:fs";
import { identifyProcess, readCommandLine } from "../../src/lib/process-identity.ts";

/** Live hypervisors (real or fake) whose parent is `pid`. */
export function hypervisorsOf(pid: number): number[] {
  return hypervisors().filter((one) => parentOf(one) === pid);
}

/** All live hypervisors of banger on this host. */
export function hypervisors(): number[] {
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((pid) => readCommandLine(pid).some((argument) => /^banger-[0-9a-f]{12}$/.test(argument)))
    .filter((pid) => identifyProcess(pid) !== undefined);
}

function parentOf(pid: number): number {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
    return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
  } catch {
    // It ended between the listing and now: it has no parent that would mind.
    return 0;
  }
}
