/** Where a jail is, and who lives in it: names and numbers that follow from the VM's id alone, so that a crash cannot lose them. */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { FIRST_JAIL_UID, JAIL_UIDS } from "../hypervisor-user.ts";
import { processMarker } from "../port.ts";

export interface JailOwner {
  readonly uid: number;
  readonly gid: number;
}

/** A user and a group of the VM's own, which no account has; two VMs in sixteen million share one. */
export function jailOwner(id: string): JailOwner {
  const uid = FIRST_JAIL_UID + (createHash("sha256").update(id).digest().readUInt32BE(0) % JAIL_UIDS);
  return { uid, gid: uid };
}

/** The directory that the jailer makes for a VM: `<base>/<program's name>/<id>` (Firecracker's docs/jailer.md). */
export function jailDir(base: string, programName: string, id: string): string {
  return join(base, programName, processMarker(id));
}

/** The root directory of the jailed process. */
export function jailRoot(base: string, programName: string, id: string): string {
  return join(jailDir(base, programName, id), "root");
}
