/** Restart: a stop and a start under one hold of the lock, so that nobody comes between. */
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";
import { bootVm } from "./start.ts";
import { endVm, type StopOptions } from "./stop.ts";

/** Stops a VM as `stopVm` does, when it is up, and boots it anew. Errors: those of both. */
export async function restartVm(ctx: VmContext, id: string, options: StopOptions): Promise<VmRecord> {
  return await ctx.locks.hold(id, async () => {
    const record = currentVm(ctx, id);
    decide("restart", record);
    const stopped = record.state === "stopped" ? record : await endVm(ctx, id, options);
    return await bootVm(ctx, stopped, options);
  });
}
