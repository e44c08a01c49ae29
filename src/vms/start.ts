/** Start: a guest that goes on from a saved machine where there is one, or boots; and the record that says so. */
import { existsSync } from "node:fs";
import { rm } from "node:fs/promises";
import { isUnrecorded, markUnrecorded, unmarkUnrecorded } from "../lib/unrecorded.ts";
import type { LongOptions } from "../model/boot.ts";
import type { StartedGuest } from "../model/capability.ts";
import { BangerError } from "../model/errors.ts";
import type { SavedMachine } from "../model/saved.ts";
import { decide } from "../model/state-machine.ts";
import type { StepTiming, VmRecord } from "../model/vm.ts";
import { bringUp, NotResumed, type Parts } from "./bring-up.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";
import { LiveVm } from "./live.ts";
import { Steps } from "./steps.ts";
import { findIngredients, templateWish } from "./template-wish.ts";

export interface StartOptions extends LongOptions {
  /** Boots, even where a template would be faster; none is made then. */
  readonly cold?: boolean | undefined;
  /** A new VM goes on from `saved`; where it does not, `refused` hears why, and it starts as any other. */
  readonly kept?:
    | { readonly saved: SavedMachine; readonly refused: (why: BangerError) => Promise<void> }
    | undefined;
  /** Goes on from this and nothing else. */
  readonly saved?: SavedMachine | undefined;
  /** Once it runs, the VM is no longer ephemeral. */
  readonly keep?: boolean | undefined;
}

/**
 * Starts a VM and resolves when its agent has configured the guest; a running VM is left alone. A failed start leaves no process
 * and no host resource, and a record in `stopped` (or `error` when clean-up failed too) with the cause.
 * Errors: `failed_precondition` (state), `unavailable` (driver, hypervisor), `timeout` (guest), `cancelled`.
 */
export async function startVm(ctx: VmContext, id: string, options: StartOptions): Promise<VmRecord> {
  return await ctx.locks.hold(id, async () => {
    const record = currentVm(ctx, id);
    return decide("start", record) ? await bootVm(ctx, record, options) : record;
  });
}

/** Starts a VM that is not running. The caller holds its lock. Errors as `startVm`. */
export async function bootVm(ctx: VmContext, record: VmRecord, options: StartOptions): Promise<VmRecord> {
  const { id } = record;
  const abort = new AbortController();
  const signal = AbortSignal.any([options.signal, abort.signal]);
  const steps = new Steps("start", { ...ctx, ...options });
  ctx.starts.set(id, abort);
  try {
    signal.throwIfAborted();
    const starting = { startedSpec: record.spec, lastError: undefined, startSteps: [] };
    ctx.store.vms.update(id, { state: "starting", ...starting });
    return await start(ctx, record, steps, { ...options, signal });
  } catch (error) {
    throw fail(ctx, id, error, steps.timings);
  } finally {
    ctx.starts.delete(id);
    // A start that never came to it.
    await ctx.pool.take(id)?.undo.disposeAsync();
  }
}

async function start(ctx: VmContext, vm: VmRecord, steps: Steps, options: StartOptions): Promise<VmRecord> {
  const parts = await steps.run(
    "resolve",
    async (): Promise<Parts> => ({ vm, ...(await findIngredients(ctx, vm, options)) }),
  );
  const pooled = ctx.pool.take(vm.id);
  if (pooled !== undefined) {
    try {
      return await attempt(ctx, { ...parts, pooled }, steps, options);
    } catch (error) {
      if (!(error instanceof NotResumed)) throw error;
      ctx.log.warn({ vm: vm.id, err: error.cause }, "a clone of the warm pool did not go on");
    }
  }
  if (options.kept !== undefined) {
    const { saved, refused } = options.kept;
    try {
      return await attempt(ctx, { ...parts, saved }, steps, options);
    } catch (error) {
      if (!(error instanceof NotResumed)) throw error;
      await refused(BangerError.from(error.cause));
    }
  }
  if (options.saved !== undefined) {
    return await attempt(ctx, { ...parts, saved: options.saved }, steps, options).catch(throwCause);
  }
  if (vm.parent !== undefined && vm.startedAt === undefined && !hasUsedDisk(ctx, vm)) {
    markUnrecorded(ctx.layout.vmDir(vm.id), { flush: false });
    // A disk is there of a first start that broke off: what it goes on from is the snapshot, memory and all.
    await rm(ctx.layout.disk(vm.id), { force: true });
    using saved = await ctx.snapshots.open(vm.parent);
    return await attempt(ctx, { ...parts, saved }, steps, options).catch(throwCause);
  }
  // A VM that ran before has its own disk, which no other memory fits.
  if (existsSync(ctx.layout.disk(vm.id))) return await attempt(ctx, parts, steps, options);
  if (vm.startedAt !== undefined) throw diskGone(ctx, vm);
  const wish = options.cold === true ? undefined : await templateWish(ctx, vm, parts);
  if (wish === undefined) return await attempt(ctx, parts, steps, options);
  const template = await steps.run("template", () => ctx.warm.find(wish));
  if (template !== undefined) {
    try {
      return await attempt(ctx, { ...parts, saved: template }, steps, options);
    } catch (error) {
      if (!(error instanceof NotResumed)) throw error;
      await ctx.warm.distrust(template, BangerError.from(error.cause));
    }
  }
  const started = await attempt(ctx, parts, steps, options);
  ctx.warm.missed(wish);
  return started;
}

/** One way to start: all of it, or nothing that is left. */
async function attempt(ctx: VmContext, parts: Parts, steps: Steps, options: StartOptions): Promise<VmRecord> {
  const { vm } = parts;
  await using undo = new AsyncDisposableStack();
  const keeps = !vm.ephemeral || options.keep === true;
  const up = await bringUp(ctx, parts, { ...options, steps, undo, keeps });
  await steps.run("started", async () => {
    const waits = { signal: options.signal, timeoutMs: ctx.bootDeadlineMs };
    const guest: StartedGuest = {
      writeFile: async (path, file) => await up.agent.writeFile(path, { ...file, ...waits }),
    };
    for (const capability of ctx.capabilities) await capability.started?.(vm, guest, options);
  });
  options.signal.throwIfAborted();
  ctx.onStep("start:record");
  const started = ctx.store.vms.update(vm.id, {
    state: "running",
    ephemeral: vm.ephemeral && options.keep !== true,
    driver: parts.driver.driver.name,
    bootId: up.bootId,
    startedAt: ctx.now(),
    startSteps: steps.timings,
  });
  undo.move();
  // Its disk is somebody's from here on. Who starts a VM does not wait for the host's disk over it.
  if (!started.ephemeral) unmarkUnrecorded(ctx.layout.vmDir(vm.id), { flush: false });
  LiveVm.register(ctx, vm.id, up);
  for (const capability of ctx.capabilities) await capability.reachable?.(started);
  ctx.pool.refill();
  ctx.onStep("start:done");
  return started;
}

/** It ran once, whatever its record says: an older database does not know what was written to that disk. */
function hasUsedDisk({ layout }: VmContext, { id }: VmRecord): boolean {
  return existsSync(layout.disk(id)) && !isUnrecorded(layout.vmDir(id));
}

/** An empty disk in its place would look like the VM's own. */
function diskGone(ctx: VmContext, { id, name }: VmRecord): BangerError {
  return new BangerError("failed_precondition", `the disk of ${name} is gone: ${ctx.layout.disk(id)}`, {
    cure: `bring that file back from a backup, or give the VM up with: banger rm ${name}`,
  });
}

/** Where there is no other way, what went wrong is the error. */
function throwCause(error: unknown): never {
  throw error instanceof NotResumed ? error.cause : error;
}

/** Records a failed start. By now the undo stack has run; what it threw is part of the error. */
function fail(ctx: VmContext, id: string, thrown: unknown, startSteps: readonly StepTiming[]): BangerError {
  const cleanupFailed = thrown instanceof SuppressedError;
  const error = BangerError.from(cleanupFailed ? thrown.suppressed : thrown);
  const shown = cleanupFailed
    ? new BangerError(error.code, `${error.message}; and then ${BangerError.from(thrown.error).message}`, {
        cause: thrown,
      })
    : error;
  ctx.store.vms.update(id, {
    state: cleanupFailed ? "error" : "stopped",
    stoppedAt: ctx.now(),
    lastError: shown.toBody(),
    startSteps,
  });
  ctx.log.warn({ vm: id, err: shown }, "start failed");
  return shown;
}
