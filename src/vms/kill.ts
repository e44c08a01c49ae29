/** Kill: the end of the process without asking the guest. What the guest had not synced is lost. */
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";
import { endVm } from "./stop.ts";

export interface KillOptions extends LongOptions {
  /** `KILL` ends the process as it stands; `TERM` lets the hypervisor write out its buffers first. */
  readonly how: "KILL" | "TERM";
}

/** Ends a VM at once, also one that is starting or stopping. A stopped one is left alone. Errors: `internal` (clean-up). */
export async function killVm(ctx: VmContext, id: string, options: KillOptions): Promise<VmRecord> {
  if (options.how === "KILL") hurry(ctx, id);
  return await ctx.locks.hold(id, async () => {
    const record = currentVm(ctx, id);
    return decide("kill", record) ? await endVm(ctx, id, { ...options, timeoutMs: 0 }) : record;
  });
}

/** Ends whatever holds the VM's lock for long: a start, a stop or a change that waits for the guest. */
export function hurry(ctx: VmContext, id: string): void {
  ctx.starts.get(id)?.abort(new BangerError("cancelled", "the start was ended by a kill"));
  // Whoever waits for the guest hears of the end of its process, and goes on.
  void (ctx.ending.get(id) ?? ctx.live.get(id))?.running.kill({ graceMs: 0 });
}
