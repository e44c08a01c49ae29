/** Set: another name, size or network. What a running VM cannot take waits for its next start, and `show` says so. */
import { withDeadline } from "../lib/deadline.ts";
import { BangerError } from "../model/errors.ts";
import { validateVmName } from "../model/names.ts";
import { applyNetworkWish, type NetworkWish } from "../model/network-policy.ts";
import { diskBytes } from "../model/spec.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";

/** Growing a file system writes its new tables; an emulated guest takes a while. */
const GROW_DEADLINE_MS = 60_000;

export interface VmWish {
  readonly name?: string | undefined;
  readonly vcpus?: number | undefined;
  readonly memoryMib?: number | undefined;
  /** Only larger. */
  readonly diskMib?: number | undefined;
  readonly network?: NetworkWish | undefined;
}

/**
 * Changes a VM. The name holds at once (the guest's host name with the next start), the disk of a running VM and its file
 * system grow at once, its network policy holds at once, vCPUs and memory come with the next start. Errors: `invalid_argument` (a smaller disk),
 * `already_exists` (name), `failed_precondition` (state), `resource_exhausted`.
 */
export async function setVm(ctx: VmContext, id: string, wish: VmWish): Promise<VmRecord> {
  if (wish.name !== undefined) validateVmName(wish.name);
  return await ctx.locks.hold(id, async () => {
    const before = currentVm(ctx, id);
    decide("set", before);
    const spec = {
      ...before.spec,
      vcpus: wish.vcpus ?? before.spec.vcpus,
      memoryMib: wish.memoryMib ?? before.spec.memoryMib,
      diskMib: wish.diskMib ?? before.spec.diskMib,
      network: applyNetworkWish(before.spec.network, wish.network ?? {}),
    };
    if (spec.diskMib < before.spec.diskMib) throw shrinks(before, spec.diskMib);
    // The record first: what a crash keeps from the running machine comes with the next daemon or the next start.
    ctx.onStep("set:record");
    const changed = ctx.store.vms.update(id, { spec, name: wish.name ?? before.name });
    const networked = isSameNetwork(before, changed) ? changed : await setNetwork(ctx, before, changed);
    return spec.diskMib > before.spec.diskMib ? await growDisk(ctx, before, networked) : networked;
  });
}

/** A policy that the running machine does not take is not the record's either. */
async function setNetwork(ctx: VmContext, before: VmRecord, vm: VmRecord): Promise<VmRecord> {
  ctx.onStep("set:network");
  const live = ctx.live.get(vm.id);
  try {
    // The disk's turn comes after it, with errors of its own.
    const change = { before, after: { ...vm, spec: { ...vm.spec, diskMib: before.spec.diskMib } } };
    for (const capability of ctx.capabilities) await capability.changed?.(change, live?.running);
  } catch (error) {
    ctx.store.vms.update(vm.id, { spec: before.spec, name: before.name });
    throw error;
  }
  if (live === undefined) return vm;
  return ctx.store.vms.update(vm.id, {
    startedSpec: { ...(vm.startedSpec ?? vm.spec), network: vm.spec.network },
  });
}

async function growDisk(ctx: VmContext, before: VmRecord, vm: VmRecord): Promise<VmRecord> {
  ctx.onStep("set:grow");
  const live = ctx.live.get(vm.id);
  const change = { before: { ...vm, spec: { ...vm.spec, diskMib: before.spec.diskMib } }, after: vm };
  for (const capability of ctx.capabilities) await capability.changed?.(change, live?.running);
  // A paused guest sees its larger disk when it goes on; its file system grows with the next start.
  if (live === undefined || vm.state !== "running") return vm;
  const agent = await live.agent();
  await withDeadline(agent.grow(diskBytes(vm.spec)), {
    ms: GROW_DEADLINE_MS,
    what: "growing the file system",
  });
  ctx.onStep("set:grown");
  return ctx.store.vms.update(vm.id, {
    startedSpec: { ...(vm.startedSpec ?? vm.spec), diskMib: vm.spec.diskMib },
  });
}

function isSameNetwork(one: VmRecord, other: VmRecord): boolean {
  return JSON.stringify(one.spec.network) === JSON.stringify(other.spec.network);
}

/** The fields of a live VM's spec that wait for its next start. */
export function pendingFields(vm: VmRecord): string[] {
  const { startedSpec, spec } = vm;
  if (startedSpec === undefined || vm.state === "stopped") return [];
  return (["vcpus", "memoryMib", "diskMib"] as const).filter((field) => startedSpec[field] !== spec[field]);
}

function shrinks(vm: VmRecord, diskMib: number): BangerError {
  return new BangerError(
    "invalid_argument",
    `the disk of ${vm.name} has ${vm.spec.diskMib} MiB and cannot shrink to ${diskMib} MiB`,
    { cure: "a disk only grows; make a new VM for a smaller one", details: { field: "disk" } },
  );
}
