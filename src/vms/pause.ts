/** Pause and resume: the guest's vCPUs stand still and go on; its memory stays. */
import { BangerError } from "../model/errors.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";
import type { LiveVm } from "./live.ts";

/** Stops the vCPUs. A paused VM is left alone. Errors: `failed_precondition` (state), `unavailable`. */
export async function pauseVm(ctx: VmContext, id: string): Promise<VmRecord> {
  return await ctx.locks.hold(id, async () => {
    const record = currentVm(ctx, id);
    if (!decide("pause", record)) return record;
    ctx.onStep("pause:pause");
    const { running } = liveVm(ctx, record);
    await running.pause();
    // A crash here leaves a paused guest and a record that says running: adopting it lets it go on.
    ctx.onStep("pause:record");
    try {
      return ctx.store.vms.update(id, { state: "paused" });
    } catch (error) {
      // What could not be written down must not be so.
      await running.resume();
      throw error;
    }
  });
}

/** Lets the vCPUs go on. A running VM is left alone. Errors as `pauseVm`. */
export async function resumeVm(ctx: VmContext, id: string): Promise<VmRecord> {
  return await ctx.locks.hold(id, async () => {
    const record = currentVm(ctx, id);
    if (!decide("resume", record)) return record;
    ctx.onStep("resume:resume");
    await liveVm(ctx, record).running.resume();
    ctx.onStep("resume:record");
    ctx.idle.touch(id);
    return ctx.store.vms.update(id, { state: "running" });
  });
}

/** Errors: `unavailable` for a VM whose process has just ended. */
export function liveVm(ctx: Pick<VmContext, "live">, vm: VmRecord): LiveVm {
  const live = ctx.live.get(vm.id);
  if (live !== undefined) return live;
  throw new BangerError("unavailable", `${vm.name} is just ending`, {
    cure: `see what became of it with: banger show ${vm.name}`,
  });
}
