/** Rewind: a VM becomes what it was when a snapshot of it was made. */
import { rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { removeLeftovers, storageError, syncPath, temporaryName } from "../lib/publish.ts";
import { copySparse } from "../lib/sparse-copy.ts";
import { BangerError } from "../model/errors.ts";
import type { SavedMachine } from "../model/saved.ts";
import type { SnapshotRecord } from "../model/snapshot.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";
import { bootVm, type StartOptions } from "./start.ts";
import { endVm } from "./stop.ts";

export interface RewindOptions extends Omit<StartOptions, "saved" | "cold"> {
  readonly saved: SavedMachine;
  readonly snapshot: SnapshotRecord;
  /** The VM has the disk of the snapshot, and does not run yet. */
  readonly replaced: () => void;
}

/**
 * Ends what the VM is doing, gives it the disk and the size of the snapshot, and lets it go on from there; with a snapshot of the disk
 * alone it boots, when it was up before. Name and address stay. When something fails on the way, the VM is stopped, with
 * one of the two disks, whole. Errors: `failed_precondition` (state), `resource_exhausted` (no room for the disk), those of a start.
 */
export async function rewindVm(ctx: VmContext, id: string, options: RewindOptions): Promise<VmRecord> {
  const { saved, snapshot } = options;
  return await ctx.locks.hold(id, async () => {
    const before = currentVm(ctx, id);
    decide("restore", before);
    const wasUp = before.state === "running" || before.state === "paused";
    const reason = `${before.name} was taken back to its snapshot ${snapshot.name}`;
    ctx.live.get(id)?.disconnect(new BangerError("unavailable", reason));
    if (before.state !== "stopped") await endVm(ctx, id, { ...options, timeoutMs: 0 });
    ctx.onStep("restore:disk");
    await replaceDisk(saved.diskPath, ctx.layout.disk(id));
    ctx.onStep("restore:workspace");
    options.replaced();
    ctx.onStep("restore:record");
    // What it may reach, and where it is reached, is said of the VM, and no snapshot makes it more open.
    const { image, network, ports, volumes } = before.spec;
    const spec = { ...snapshot.spec, image, network, ports, volumes };
    const record = ctx.store.vms.update(id, { spec });
    if (saved.machineDir === undefined && !wasUp) return record;
    const from = saved.machineDir === undefined ? {} : { saved };
    return await bootVm(ctx, record, { signal: options.signal, onProgress: options.onProgress, ...from });
  });
}

async function replaceDisk(from: string, to: string): Promise<void> {
  await removeLeftovers(dirname(to));
  const aside = join(dirname(to), temporaryName());
  try {
    await copySparse(from, aside);
    await syncPath(aside);
    await rename(aside, to);
    await syncPath(dirname(to));
  } catch (error) {
    throw storageError(error, to);
  } finally {
    // As large as the disk, and this daemon's own: nobody else would remove it as long as it lives.
    await rm(aside, { force: true });
  }
}
