/** Stop: ask the guest, wait, then end the process. */
import { settlesWithin } from "../lib/settles-within.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import { cleanupVm } from "./cleanup.ts";
import type { VmContext } from "./context.ts";
import { failureOfExit } from "./exit.ts";
import { currentVm } from "./find.ts";
import type { LiveVm } from "./live.ts";
import { Steps } from "./steps.ts";
import { stopTimeMs } from "./stop-time.ts";

const EXIT_GRACE_MS = 1_000;

export interface StopOptions extends LongOptions {
  /** How long the guest may take; 0 ends the process at once. Default: the configured `stop_timeout`, else `stopTimeMs`. */
  readonly timeoutMs?: number | undefined;
}

/**
 * Stops a VM. What the guest had written before is on disk when it resolves; a guest that does not answer in time is
 * ended all the same, and the record says so. Errors: `failed_precondition` (state), `internal` (clean-up failed; the VM is in `error`).
 */
export async function stopVm(ctx: VmContext, id: string, options: StopOptions): Promise<VmRecord> {
  // A start under way is ended first: it holds the lock.
  ctx.starts.get(id)?.abort(new BangerError("cancelled", "the start was ended by a stop"));
  return await ctx.locks.hold(id, async () => {
    const record = currentVm(ctx, id);
    if (!decide("stop", record)) return record;
    return await endVm(ctx, id, options);
  });
}

/** Ends a VM whatever state it is in. The caller holds its lock. */
export async function endVm(ctx: VmContext, id: string, options: StopOptions): Promise<VmRecord> {
  const steps = new Steps("stop", { ...ctx, ...options });
  const live = ctx.live.get(id);
  const record = currentVm(ctx, id);
  const paused = record.state === "paused";
  ctx.store.vms.update(id, { state: "stopping" });
  // From here the watcher takes the end of the process for ours.
  ctx.live.delete(id);
  let unclean: BangerError | undefined;
  try {
    if (live !== undefined) {
      ctx.ending.set(id, live);
      // Of an image that is gone nothing is known but what was asked for.
      const image = ctx.store.images.byDigest(record.imageDigest)[0]?.config ?? {};
      const timeoutMs = options.timeoutMs ?? ctx.stopTimeoutMs ?? stopTimeMs(record.spec.init, image);
      unclean = await steps.run("poweroff", () => powerOff(live, { timeoutMs, paused }));
      // After a clean power-off everything is on disk, and the process has nothing left to write out.
      const graceMs = unclean === undefined && timeoutMs !== 0 ? { graceMs: 0 } : {};
      await steps.run("end process", () => live.running.kill(graceMs));
      live.disconnect();
    }
    await steps.run("clean up", () => cleanupVm(ctx, id, { endSeen: live !== undefined }));
  } catch (error) {
    const failure = BangerError.from(error);
    ctx.store.vms.update(id, { state: "error", lastError: failure.toBody() });
    throw failure;
  } finally {
    ctx.ending.delete(id);
  }
  ctx.onStep("stop:record");
  return ctx.store.vms.update(id, { state: "stopped", stoppedAt: ctx.now(), lastError: unclean?.toBody() });
}

/** Asks the guest to power off; undefined when it did, else why it did not. */
async function powerOff(
  live: LiveVm,
  { timeoutMs, paused }: { readonly timeoutMs: number; readonly paused: boolean },
): Promise<BangerError | undefined> {
  if (timeoutMs === 0) return undefined;
  const late = Promise.withResolvers<BangerError>();
  const timer = setTimeout(() => {
    const message = `the guest did not power off within ${timeoutMs / 1000} s, so its process was ended`;
    late.resolve(new BangerError("timeout", message));
  }, timeoutMs);
  const ask = async (): Promise<void> => {
    // A guest that is paused can neither sync nor power off.
    if (paused) await live.running.resume();
    await (await live.agent()).poweroff(Math.max(0, timeoutMs - 2000));
  };
  const asked = ask().then(
    () => undefined,
    // The channel of a hypervisor that died closes a moment before its end is known.
    async (error: unknown) => {
      const gone = await settlesWithin(live.running.exited, EXIT_GRACE_MS);
      return gone ? failureOfExit(await live.running.exited) : BangerError.from(error);
    },
  );
  try {
    return await Promise.race([asked, late.promise]);
  } finally {
    clearTimeout(timer);
  }
}
