/** CPU time and memory of a hypervisor process, from /proc/PID/stat and /proc/PID/statm (proc(5)). */
import { readFileSync } from "node:fs";
import { isAlive, type ProcessHandle, readProcessStat } from "../lib/process-identity.ts";
import { BangerError } from "../model/errors.ts";
import type { MachineStats } from "./port.ts";

/** USER_HZ is 100 for every program on x86 and arm64 (proc(5), time(7)). */
const MS_PER_TICK = 10;
const PAGE_BYTES = 4096;

/** Errors: `unavailable` when the process has ended. */
export function readProcessStats(handle: ProcessHandle): MachineStats {
  const stat = readProcessStat(handle.pid);
  if (stat === undefined || !isAlive(handle)) throw gone(handle);
  return {
    cpuMs: (stat.userTicks + stat.systemTicks) * MS_PER_TICK,
    rssBytes: residentPages(handle) * PAGE_BYTES,
  };
}

function residentPages(handle: ProcessHandle): number {
  try {
    return Number(readFileSync(`/proc/${handle.pid}/statm`, "utf8").split(" ")[1]);
  } catch (error) {
    throw gone(handle, error);
  }
}

function gone(handle: ProcessHandle, cause?: unknown): BangerError {
  return new BangerError("unavailable", `the hypervisor process ${handle.pid} has ended`, { cause });
}
