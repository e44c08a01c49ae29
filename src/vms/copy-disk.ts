/** A copy of a VM's writable disk, of one moment. */
import { existsSync } from "node:fs";
import { copySparse } from "../lib/sparse-copy.ts";
import { BangerError } from "../model/errors.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";
import { liveVm } from "./pause.ts";

/** Longer than any copy that is not a mistake; then the guest goes on by itself. */
const FREEZE_MS = 60_000;

/**
 * Copies the disk to `to`, which must not exist, and returns the record of that moment. A running guest writes everything out and
 * stands still meanwhile. Errors: `failed_precondition` (it never ran, it is paused or in transition, the copy took too long),
 * those of the guest and of the file system.
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
    if (record.state !== "running") {
      throw new BangerError("failed_precondition", `${record.name} is ${record.state}`, {
        cure: `resume or stop it first: banger stop ${record.name}`,
        details: { state: record.state },
      });
    }
    const agent = await liveVm(ctx, record).agent();
    await agent.freeze({ fileSystems: true, commands: false, timeoutMs: FREEZE_MS });
    try {
      await copySparse(from, to);
    } finally {
      // It also says whether the guest went on by itself before the copy was whole.
      await agent.thaw();
    }
    return record;
  });
}
