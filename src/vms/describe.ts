/** A VM as data: the machine that all capabilities describe together, and what its guest is told of it. */
import type { GuestConfig } from "../guest/guest-config.ts";
import type { BootFiles } from "../model/boot.ts";
import type { CapabilityContext, MachineDraft } from "../model/capability.ts";
import type { Machine } from "../model/machine.ts";
import type { VmContext } from "./context.ts";

/** The guest's part of a description. */
export type GuestPlace = Pick<GuestConfig, "network" | "nameservers" | "search">;

export interface Description {
  readonly machine: Machine;
  readonly mounts: MachineDraft["mounts"];
  /** Empty for a guest that is told of no network. */
  readonly place: GuestPlace;
}

/** Capabilities have prepared what they describe. */
export function describe(ctx: VmContext, context: CapabilityContext, files: BootFiles): Description {
  const draft: MachineDraft = { disks: [], nics: [], cmdline: [], mounts: [] };
  for (const capability of ctx.capabilities) capability.contribute?.(context, draft);
  const { vm } = context;
  const { mounts, network, resolver = {}, ...devices } = draft;
  const machine = {
    id: vm.id,
    vcpus: vm.spec.vcpus,
    memoryMib: vm.spec.memoryMib,
    ...files,
    ...devices,
    consolePath: ctx.layout.console(vm.id),
  };
  if (network === undefined) return { machine, mounts, place: resolver };
  const { nameservers, search, ...card } = network;
  return { machine, mounts, place: { network: card, nameservers, search } };
}
