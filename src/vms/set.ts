/** Set: another name, size, kernel, network or ports. What a running VM cannot take waits for its next start, and `show` says so. */
import { withDeadline } from "../lib/deadline.ts";
import { BangerError } from "../model/errors.ts";
import { DEFAULT_KERNEL } from "../model/kernel-names.ts";
import { validateVmName } from "../model/names.ts";
import { applyNetworkWish } from "../model/network-policy.ts";
import { applyPortsWish, samePort } from "../model/published-port.ts";
import { diskBytes } from "../model/spec.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import type { SetVm } from "../model/vm-wish.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";
import { demandUnclaimed, settleSpec } from "./settle.ts";

/** Growing a file system writes its new tables; an emulated guest takes a while. */
const GROW_DEADLINE_MS = 60_000;

/**
 * Changes a VM. The name holds at once (the guest's host name with the next start), the disk of a running VM and its file
 * system grow at once, its network policy and published ports hold at once, vCPUs, memory and kernel come with the next start. Errors:
 * `invalid_argument` (a smaller disk, ports), `already_exists` (name, a port in use), `failed_precondition` (state),
 * `resource_exhausted`, those of `ImageSource.ensureKernel`.
 */
export async function setVm(ctx: VmContext, id: string, wish: SetVm): Promise<VmRecord> {
  if (wish.name !== undefined) validateVmName(wish.name);
  return await ctx.locks.hold(id, async () => {
    const before = currentVm(ctx, id);
    decide("set", before);
    const kernel = await settleKernel(ctx, before, wish.kernel);
    const ports = applyPortsWish(before.spec.ports ?? [], wish);
    const wanted = {
      ...before.spec,
      vcpus: wish.vcpus ?? before.spec.vcpus,
      memoryMib: wish.memoryMib ?? before.spec.memoryMib,
      diskMib: wish.diskMib ?? before.spec.diskMib,
      network: applyNetworkWish(before.spec.network, wish.network ?? {}),
      ...(kernel === before.spec.kernel ? {} : { kernel }),
      ...(ports.length === 0 && before.spec.ports === undefined ? {} : { ports }),
    };
    if (wanted.diskMib < before.spec.diskMib) throw shrinks(before, wanted.diskMib);
    const spec = await settleSpec(ctx, wanted, before);
    // The record first: what a crash keeps from the running machine comes with the next daemon or the next start.
    ctx.onStep("set:record");
    demandUnclaimed(ctx, spec.ports, id);
    const recorded = ctx.store.vms.update(id, { spec, name: wish.name ?? before.name });
    const isSame = isSameNetwork(before, recorded) && hasSamePorts(before, recorded);
    const changed = isSame ? recorded : await setNetwork(ctx, before, recorded);
    return spec.diskMib > before.spec.diskMib ? await growDisk(ctx, before, changed) : changed;
  });
}

/** The kernel to record, which is there then. The default has no name there, and comes with the next start. */
async function settleKernel(
  ctx: VmContext,
  { spec, imageDigest }: VmRecord,
  asked: string | undefined,
): Promise<string | undefined> {
  if (asked === undefined) return spec.kernel;
  if (asked === DEFAULT_KERNEL) return undefined;
  const options = { signal: new AbortController().signal, onProgress: () => undefined };
  await ctx.images.ensureKernel({ kernel: asked, imageDigest }, options);
  return asked;
}

/** A policy or a port that the running machine does not take is not the record's either. */
async function setNetwork(ctx: VmContext, before: VmRecord, vm: VmRecord): Promise<VmRecord> {
  ctx.onStep("set:network");
  const running = ctx.live.get(vm.id)?.running;
  // The disk's turn comes after it, with errors of its own.
  const after = { ...vm, spec: { ...vm.spec, diskMib: before.spec.diskMib } };
  await using undo = new AsyncDisposableStack();
  try {
    for (const capability of ctx.capabilities) {
      await capability.changed?.({ before, after }, running);
      undo.defer(async () => await capability.changed?.({ before: after, after: before }, running));
    }
  } catch (error) {
    ctx.store.vms.update(vm.id, { spec: before.spec, name: before.name });
    throw error;
  }
  undo.move();
  if (running === undefined) return vm;
  return ctx.store.vms.update(vm.id, {
    startedSpec: { ...(vm.startedSpec ?? vm.spec), network: vm.spec.network, ports: vm.spec.ports },
  });
}

function hasSamePorts(one: VmRecord, other: VmRecord): boolean {
  const [ports, others] = [one.spec.ports ?? [], other.spec.ports ?? []];
  return ports.length === others.length && ports.every((port) => others.some((two) => samePort(port, two)));
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

const PENDING = ["vcpus", "memoryMib", "diskMib", "kernel"] as const;

/** The fields of a live VM's spec that wait for its next start. */
export function pendingFields(vm: VmRecord): string[] {
  const { startedSpec, spec } = vm;
  if (startedSpec === undefined || vm.state === "stopped") return [];
  return PENDING.filter((field) => startedSpec[field] !== spec[field]);
}

function shrinks(vm: VmRecord, diskMib: number): BangerError {
  return new BangerError(
    "invalid_argument",
    `the disk of ${vm.name} has ${vm.spec.diskMib} MiB and cannot shrink to ${diskMib} MiB`,
    { cure: "a disk only grows; make a new VM for a smaller one", details: { field: "disk" } },
  );
}
