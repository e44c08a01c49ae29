/** Hypervisors that nobody has a hold of: found by the VM's marker on their command line, and ended. */
import type { ProcessHandle } from "../lib/process-identity.ts";
import { watchProcess } from "../lib/process-watch.ts";
import { findHypervisors } from "../vmm/hypervisor-user.ts";

/** Ends every process of the VM and waits until it is gone. Safe to repeat. */
export async function endStrays(id: string): Promise<void> {
  await Promise.all(findHypervisors(id).map(endProcess));
}

async function endProcess(found: ProcessHandle): Promise<void> {
  const watch = await watchProcess(found);
  if (watch?.signal("SIGKILL") === true) await watch.ended;
  watch?.release();
}
