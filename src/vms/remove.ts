/** Removal: the end of a VM's process, host resources, record and directory. */
import { removeTree } from "../lib/remove-tree.ts";
import { BangerError } from "../model/errors.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import { cleanupVm } from "./cleanup.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";
import { hurry } from "./kill.ts";
import { endVm } from "./stop.ts";

/**
 * Deletes a VM and its disk, and returns what it was. `force` ends a running one first, without asking the guest, for its disk
 * goes with it; one that writes to a volume is powered off, so that what it wrote there is on disk. Cancelling the caller does not
 * stop a removal half-way. Errors: `failed_precondition` (state), `not_found`.
 */
export async function removeVm(
  ctx: VmContext,
  id: string,
  options: { readonly force: boolean },
): Promise<VmRecord> {
  if (options.force) makeWay(ctx, id);
  return await ctx.locks.hold(id, async () => {
    const record = currentVm(ctx, id);
    decide(options.force ? "forceRemove" : "remove", record);
    if (ctx.live.has(id)) {
      await endVm(ctx, id, {
        // Its own disk goes with it; what it wrote to a volume does not, and must get there first.
        timeoutMs: writesVolume(record) ? undefined : 0,
        onProgress: () => undefined,
        signal: new AbortController().signal,
      });
    } else {
      await cleanupVm(ctx, id);
    }
    ctx.onStep("remove:record");
    // The row goes first: from then on the VM does not exist, and reconcile sweeps a directory that has no row.
    ctx.store.vms.remove(id);
    ctx.onStep("remove:directory");
    await removeTree(ctx.layout.vmDir(id));
    forget(ctx, id);
    ctx.onStep("remove:done");
    return record;
  });
}

/**
 * As `removeVm` by force, for what an operation made and nobody keeps. What became of the operation must not be lost over a removal
 * that fails: that is the log's, and the next start's of the daemon. Never throws.
 */
export async function removeAfterwards(ctx: VmContext, id: string): Promise<void> {
  try {
    await removeVm(ctx, id, { force: true });
  } catch (thrown) {
    const error = BangerError.from(thrown);
    // Somebody else removed it meanwhile.
    if (error.code !== "not_found")
      ctx.log.error({ vm: id, err: error }, "a VM that nobody keeps could not be removed");
  }
}

/** The VM is gone, whatever happens now: what cannot forget it is for the log. */
function forget(ctx: VmContext, id: string): void {
  for (const capability of ctx.capabilities) {
    try {
      capability.removed?.({ id });
    } catch (error) {
      ctx.log.warn(
        { vm: id, capability: capability.name, err: error },
        "something of a VM that was removed is left",
      );
    }
  }
}

/** Ends what holds the lock, but for a guest that writes to a volume: it is given the time that a stop takes. */
function makeWay(ctx: VmContext, id: string): void {
  const record = ctx.store.vms.byId(id);
  if (record === undefined || !writesVolume(record)) return hurry(ctx, id);
  ctx.starts.get(id)?.abort(new BangerError("cancelled", "the start was ended by a removal"));
}

function writesVolume({ startedSpec, spec }: VmRecord): boolean {
  return ((startedSpec ?? spec).volumes ?? []).some((mount) => !mount.readOnly);
}
