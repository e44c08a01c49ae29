/** Hypervisors that nobody has a hold of: found by the VM's marker on their command line, and ended. */
import { endProcess } from "../lib/end-process.ts";
import { findAllHypervisors } from "../vmm/hypervisor-user.ts";

/** Ends every process of the VM and waits until it is gone. Safe to repeat. */
export async function endStrays(id: string): Promise<void> {
  await Promise.all((await findAllHypervisors(id)).map(endProcess));
}
