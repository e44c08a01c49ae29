/** Who a guest is: what it is told at its boot, and again when it goes on from a saved machine. */
import { createHash, randomUUID } from "node:crypto";
import type { GuestConfig } from "../guest/guest-config.ts";
import type { GuestIdentity } from "../guest/snapshot.ts";
import type { VmRecord } from "../model/vm.ts";

type Named = Pick<VmRecord, "id" | "name" | "address">;

/** Part of every boot, and of every going on. */
export function namesOf(vm: Named): Pick<GuestConfig, "hostname" | "hosts"> & { readonly machineId: string } {
  return {
    hostname: vm.name,
    machineId: machineId(vm.id),
    hosts: [{ address: vm.address, names: [vm.name, `${vm.name}.vm`] }],
  };
}

/** A new boot id, and everything else as at a boot. */
export function newIdentity(vm: Named): GuestIdentity {
  return { ...namesOf(vm), bootId: randomUUID() };
}

/** The same for all runs of a VM, and another for every VM (machine-id(5)). */
function machineId(id: string): string {
  return createHash("sha256").update(`banger machine-id ${id}`).digest("hex").slice(0, 32);
}
