/** Fork: new VMs that go on from where a running one is, side by side. */
import { randomBytes } from "node:crypto";
import { mkdirSync, rmSync } from "node:fs";
import { markUnrecorded } from "../lib/unrecorded.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import { validateVmName } from "../model/names.ts";
import type { SavedMachine } from "../model/saved.ts";
import { decide } from "../model/state-machine.ts";
import { demandNoVolumes, NEVER_STARTED, type VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";
import { type HeldVm, holdVm } from "./hold.ts";
import { liveVm } from "./pause.ts";
import { removeAfterwards } from "./remove.ts";
import { freeAddress, reserveVm } from "./reserve.ts";
import { startVm } from "./start.ts";

export interface ForkWish extends LongOptions {
  /** At least 1. */
  readonly count: number;
  /** The children are called `PREFIX-1`, `PREFIX-2`, … as far as those are free. */
  readonly prefix: string;
  /** A child has its record and its directory; it starts later. */
  readonly reserved: (child: VmRecord) => Promise<void>;
  /** What the children go on from, which is still to be made. */
  readonly saved: SavedMachine;
  /** Makes it of the held VM, and calls `captured` as `SavedMachineInMaking` has it. */
  readonly save: (held: HeldVm, captured: () => void) => Promise<void>;
}

/**
 * All children run, or none is there. The parent is held only while it is saved, and the children start meanwhile, as far as they can. Errors: `failed_precondition` (state),
 * `resource_exhausted` (memory, addresses) before anything is saved; `invalid_argument` (names); those of `save` and of a start.
 */
export async function forkVm(ctx: VmContext, id: string, wish: ForkWish): Promise<readonly VmRecord[]> {
  const parent = currentVm(ctx, id);
  decide("fork", parent);
  demandNoVolumes(parent);
  await demandMemory(ctx, parent, wish.count);
  const children: VmRecord[] = [];
  try {
    for (let i = 0; i < wish.count; i += 1) children.push(await reserveChild(ctx, parent, wish.prefix));
    for (const child of children) await wish.reserved(child);
    ctx.onStep("fork:reserved");
    const captured = Promise.withResolvers<void>();
    const whole = holdVm(ctx, id, "fork", async (held) => {
      await wish.save(held, captured.resolve);
      ctx.onStep("fork:saved");
    });
    whole.then(captured.resolve, captured.reject);
    // A child may fail before it waits for it.
    captured.promise.catch(() => undefined);
    const saved = { ...wish.saved, making: { captured: captured.promise, whole } };
    const { signal, onProgress } = wish;
    const starting = children.map(
      async (child) => await startVm(ctx, child.id, { signal, onProgress, saved, keep: true }),
    );
    const [save, ...started] = await Promise.allSettled([whole, ...starting]);
    if (save.status === "rejected") throw save.reason;
    return started.map((outcome) => {
      if (outcome.status === "rejected") throw outcome.reason;
      return outcome.value;
    });
  } catch (error) {
    await Promise.all(children.map(async (child) => await removeAfterwards(ctx, child.id)));
    throw error;
  }
}

/** What the parent has in memory, each child may come to have. */
async function demandMemory(ctx: VmContext, parent: VmRecord, count: number): Promise<void> {
  const { rssBytes } = await liveVm(ctx, parent).running.stats();
  const need = rssBytes * count;
  if (need <= ctx.availableMemoryBytes()) return;
  // What only makes things faster goes first.
  await ctx.pool.drain();
  const available = ctx.availableMemoryBytes();
  if (need <= available) return;
  const mib = (bytes: number): number => Math.round(bytes / 2 ** 20);
  throw new BangerError(
    "resource_exhausted",
    `${count} forks of ${parent.name} may need ${mib(need)} MiB of memory, and the host has ${mib(available)} MiB left`,
    { cure: "fork fewer, or stop VMs that are not needed" },
  );
}

/** A child's record. Until it runs it is ephemeral: a daemon that finds it half made removes it. */
async function reserveChild(ctx: VmContext, parent: VmRecord, prefix: string): Promise<VmRecord> {
  const id = randomBytes(6).toString("hex");
  mkdirSync(ctx.layout.vmDir(id), { recursive: true, mode: 0o700 });
  markUnrecorded(ctx.layout.vmDir(id), { flush: false });
  const reserve = async (): Promise<VmRecord> =>
    await reserveVm(ctx, { ephemeral: true }, ({ addresses }) => ({
      ...parent,
      id,
      name: freeChildName(ctx, prefix),
      state: "stopped",
      // What waits for the parent's next start is not what its children go on with.
      spec: {
        ...parent.spec,
        ...parent.startedSpec,
        diskMib: parent.spec.diskMib,
        network: parent.spec.network,
        // A port of this host has one VM.
        ports: undefined,
      },
      address: freeAddress(ctx, addresses),
      parent: undefined,
      createdAt: ctx.now(),
      ...NEVER_STARTED,
    }));
  try {
    return await reserve();
  } catch (error) {
    rmSync(ctx.layout.vmDir(id), { recursive: true, force: true });
    throw error;
  }
}

function freeChildName(ctx: VmContext, prefix: string): string {
  for (let number = 1; ; number += 1) {
    const name = validateVmName(`${prefix}-${number}`);
    if (ctx.store.vms.byName(name) === undefined) return name;
  }
}
