/** The end of a group: its processes killed and gone, the groups in it and itself removed. */
import { identifyProcess } from "../lib/process-identity.ts";
import { watchProcess } from "../lib/process-watch.ts";
import { settlesWithin } from "../lib/settles-within.ts";
import { BangerError } from "../model/errors.ts";
import type { CgroupFiles } from "./cgroup-files.ts";

/** How long killed processes may take to end. One that waits for a dead disk may never. */
const KILL_DEADLINE_MS = 5000;
/** Who forks while being killed is killed again; the pids limit bounds how many there can be. */
const KILL_ROUNDS = 16;

/**
 * Kills what is in the group at this directory, waits for its end, and removes the group. Succeeds when it is not there; may be
 * repeated. Errors: `internal` (a process does not end, the kernel refuses).
 */
export async function removeCgroup(files: CgroupFiles, group: string): Promise<void> {
  await killProcesses(files, group);
  // Nobody but the hypervisor itself could have made groups in its group.
  for (const inner of files.directories(group)) await removeCgroup(files, `${group}/${inner}`);
  try {
    files.removeDirectory(group);
  } catch (cause) {
    throw refusal(group, `the kernel refuses: ${(cause as Error).message}`, cause);
  }
}

async function killProcesses(files: CgroupFiles, group: string): Promise<void> {
  for (let round = 0; round < KILL_ROUNDS; round++) {
    const pids = pidsIn(files, group);
    if (pids.length === 0) return;
    if (pids.includes(process.pid)) throw refusal(group, "this daemon itself is in it");
    // All of them at one instant, where the kernel can (version 2, Linux 5.14); then each, to wait for its end.
    const atOnce = `${group}/cgroup.kill`;
    if (files.writable(atOnce)) files.write(atOnce, "1");
    const ended = await Promise.all(pids.map(killProcess));
    if (ended.includes(false)) throw refusal(group, `a process in it does not end: ${pids.join(", ")}`);
  }
  if (pidsIn(files, group).length > 0)
    throw refusal(group, "its processes multiply faster than they are killed");
}

function pidsIn(files: CgroupFiles, group: string): number[] {
  const text = files.read(`${group}/cgroup.procs`) ?? "";
  // 0 is a process of another pid namespace.
  return text
    .split("\n")
    .map(Number)
    .filter((pid) => pid > 0);
}

/** Whether it has ended in time. */
async function killProcess(pid: number): Promise<boolean> {
  const found = identifyProcess(pid);
  const watch = found === undefined ? undefined : await watchProcess(found);
  if (watch === undefined) return true;
  try {
    return !watch.signal("SIGKILL") || (await settlesWithin(watch.ended, KILL_DEADLINE_MS));
  } finally {
    watch.release();
  }
}

function refusal(group: string, why: string, cause?: unknown): BangerError {
  return new BangerError("internal", `cannot remove the group ${group}: ${why}`, {
    cure: `see its processes with: cat ${group}/cgroup.procs`,
    ...(cause === undefined ? {} : { cause }),
  });
}
