/** Set: another name or size. What a running VM cannot take waits for its next start, and `show` says so. */
import { withDeadline } from "../lib/deadline.ts";
import { BangerError } from "../model/errors.ts";
import { validateVmName } from "../model/names.ts";
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
}

/**
 * Changes a VM. The name holds at once (the guest's host name with the next start), the disk of a running VM and its file
 * system grow at once, vCPUs and memory come with the next start. Errors: `invalid_argument` (a smaller disk),
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
    };
    if (spec.diskMib < before.spec.diskMib) throw shrinks(before, spec.diskMib);
    // The record first: a disk that is smaller than its record is grown by the next start.
    ctx.onStep("set:record");
    const changed = ctx.store.vms.update(id, { spec, name: wish.name ?? before.name });
    return spec.diskMib > before.spec.diskMib ? await growDisk(ctx, changed) : changed;
  });
}

async function growDisk(ctx: VmContext, vm: VmRecord): Promise<VmRecord> {
  ctx.onStep("set:grow");
  const live = ctx.live.get(vm.id);
  for (const capability of ctx.capabilities) await capability.changed?.(vm, live?.running);
  // A paused guest sees its larger disk when it goes on; its file system grows with the next start.
  if (live === undefined || vm.state !== "running") return vm;
  const agent = await live.agent();
  await withDeadline(agent.grow(), { ms: GROW_DEADLINE_MS, what: "growing the file system" });
  ctx.onStep("set:grown");
  return ctx.store.vms.update(vm.id, {
    startedSpec: { ...(vm.startedSpec ?? vm.spec), diskMib: vm.spec.diskMib },
  });
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
