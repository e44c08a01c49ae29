/** A copy of a VM's writable disk, of one moment. */
import { existsSync } from "node:fs";
import { copySparse } from "../lib/sparse-copy.ts";
import { BangerError } from "../model/errors.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { reachAgent } from "./exec.ts";
import { currentVm } from "./find.ts";
import { liveVm } from "./pause.ts";

/** Longer than any copy that is not a mistake; then the guest goes on by itself. */
const FREEZE_MS = 60_000;

/**
 * Copies the disk to `to`, which must not exist, and returns the record of that moment. A running guest writes everything out and
 * stands still meanwhile. So does a paused one: it is woken for the time of the copy, its commands halted as soon as it answers,
 * because what it had not written out would be missing else. Errors: `failed_precondition` (it never ran, it is in transition, the
 * copy took too long), those of the guest and of the file system.
 */
export async function copyDisk(ctx: VmContext, id: string, to: string): Promise<VmRecord> {
  return await ctx.locks.hold(id, async () => {
    const record = currentVm(ctx, id);
    const from = ctx.layout.disk(id);
    if (!existsSync(from)) {
      throw new BangerError("failed_precondition", `${record.name} has never run: it is as its image is`, {
        cure: `give the image another name: banger image tag ${record.spec.image} NAME`,
      });
    }
    ctx.onStep("commit:copy");
    if (record.state === "stopped") {
      await copySparse(from, to);
      return record;
    }
    if (record.state !== "running" && record.state !== "paused") {
      throw new BangerError("failed_precondition", `${record.name} is ${record.state}`, {
        cure: `stop it first: banger stop ${record.name}`,
        details: { state: record.state },
      });
    }
    const live = liveVm(ctx, record);
    const isPaused = record.state === "paused";
    await using undo = new AsyncDisposableStack();
    if (isPaused) {
      // After a crash, whoever adopts it pauses it, as the record says.
      await live.running.resume();
      undo.defer(async () => await live.running.pause());
    }
    const agent = await reachAgent(record, live.agent());
    await agent.freeze({ fileSystems: true, commands: isPaused, timeoutMs: FREEZE_MS });
    // Thawing also says whether the guest went on by itself before the copy was whole.
    undo.defer(async () => await agent.thaw());
    await copySparse(from, to);
    return record;
  });
}
