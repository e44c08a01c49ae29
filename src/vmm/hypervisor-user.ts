/** Which users' processes can be hypervisors of ours: this one, and those that live in jails. */
import { findAllByCommandLine } from "../lib/find-processes.ts";
import { findByCommandLine, type MarkOptions, type ProcessHandle } from "../lib/process-identity.ts";
import { processMarker } from "./port.ts";

/** Above what distributions, systemd and subordinate ids use (systemd's docs/UIDS-GIDS.md), and below 2^31. */
export const FIRST_JAIL_UID = 2_000_000_000;
export const JAIL_UIDS: number = 2 ** 24;

/** Where QEMU, Firecracker and its jailer have it. What else has it among its arguments is somebody's `grep`, and must live. */
const MARKED: MarkOptions = { isOurs: isHypervisorUser, behind: ["-name", "--id"] };

/** The live hypervisors of a machine, by the marker on their command line. Another user's process cannot pass for one. */
export function findHypervisors(machineId: string): readonly ProcessHandle[] {
  return findByCommandLine(processMarker(machineId), MARKED);
}

/** As `findHypervisors`, with those that are only just starting. */
export async function findAllHypervisors(machineId: string): Promise<readonly ProcessHandle[]> {
  return await findAllByCommandLine(processMarker(machineId), MARKED);
}

/** Only root makes jails, and only root can be anybody. */
function isHypervisorUser(uid: number): boolean {
  const own = process.geteuid?.();
  return uid === own || (own === 0 && uid >= FIRST_JAIL_UID && uid < FIRST_JAIL_UID + JAIL_UIDS);
}
