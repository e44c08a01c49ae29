/** Start: a list of named steps, each with its undo. */
import { mkdirSync } from "node:fs";
import type { Agent, GuestConfig } from "../guest/agent.ts";
import { withDeadline } from "../lib/deadline.ts";
import type { LongOptions } from "../model/boot.ts";
import type { CapabilityContext, MachineDraft, StartedGuest } from "../model/capability.ts";
import { BangerError } from "../model/errors.ts";
import type { Machine } from "../model/machine.ts";
import { decide } from "../model/state-machine.ts";
import type { StepTiming, VmRecord } from "../model/vm.ts";
import { cleanupVm } from "./cleanup.ts";
import type { VmContext } from "./context.ts";
import { currentVm } from "./find.ts";
import { greetAgent } from "./greet.ts";
import { guestConfig } from "./guest-config.ts";
import { writeHandles } from "./handles.ts";
import { LiveVm } from "./live.ts";
import { Steps } from "./steps.ts";

/**
 * Boots a VM and resolves when its agent has configured the guest; a running VM is left alone. A failed start leaves no process
 * and no host resource, and a record in `stopped` (or `error` when clean-up failed too) with the cause.
 * Errors: `failed_precondition` (state), `unavailable` (driver, hypervisor), `timeout` (guest), `cancelled`.
 */
export async function startVm(ctx: VmContext, id: string, options: LongOptions): Promise<VmRecord> {
  return await ctx.locks.hold(id, async () => {
    const record = currentVm(ctx, id);
    return decide("start", record) ? await bootVm(ctx, record, options) : record;
  });
}

/** Boots a VM that is not running. The caller holds its lock. Errors as `startVm`. */
export async function bootVm(ctx: VmContext, record: VmRecord, options: LongOptions): Promise<VmRecord> {
  const { id } = record;
  const abort = new AbortController();
  const signal = AbortSignal.any([options.signal, abort.signal]);
  const steps = new Steps("start", { ...ctx, ...options });
  ctx.starts.set(id, abort);
  try {
    signal.throwIfAborted();
    const starting = { startedSpec: record.spec, lastError: undefined, startSteps: [] };
    ctx.store.vms.update(id, { state: "starting", ...starting });
    return await boot(ctx, record, steps, { ...options, signal });
  } catch (error) {
    throw fail(ctx, id, error, steps.timings);
  } finally {
    ctx.starts.delete(id);
  }
}

async function boot(ctx: VmContext, vm: VmRecord, steps: Steps, options: LongOptions): Promise<VmRecord> {
  await using undo = new AsyncDisposableStack();
  const { image, files, driver } = await steps.run("resolve", async () => {
    const [image, files, driver] = await Promise.all([
      ctx.images.byDigest(vm.imageDigest),
      ctx.images.bootFiles({ kernel: vm.spec.kernel, imageDigest: vm.imageDigest }, options),
      ctx.chooseDriver(vm.spec.vmm),
    ]);
    return { image, files, driver };
  });
  const context: CapabilityContext = { vm, image };
  await steps.run("preflight", async () => {
    for (const capability of ctx.capabilities) await capability.preflight?.(context);
  });
  await steps.run("prepare", async () => {
    mkdirSync(ctx.layout.vmDir(vm.id), { recursive: true, mode: 0o700 });
    // Clean-up is the undo of everything at once: it needs no handles and may be repeated.
    undo.defer(() => cleanupVm(ctx, vm.id));
    for (const capability of ctx.capabilities) await capability.prepare?.(context, undo);
  });
  const { machine, mounts } = describe(ctx, context, files);
  const running = await steps.run("spawn", async () => {
    const dir = { stateDir: ctx.layout.vmDir(vm.id), runtimeDir: ctx.layout.vmRuntimeDir(vm.id) };
    const running = await driver.driver.start(machine, dir, {
      signal: options.signal,
      spawned: async (process) => {
        for (const capability of ctx.capabilities) await capability.spawned?.(vm, process);
      },
    });
    undo.defer(() => running.kill({ graceMs: 0 }));
    ctx.onStep("start:handles");
    writeHandles(ctx.layout, vm.id, running.handles);
    return running;
  });
  const agent = await steps.run("boot", () =>
    greetAgent(ctx, vm.id, running, { fresh: true, signal: options.signal }),
  );
  undo.defer(() => agent.close());
  await steps.run("configure", async () => {
    const configuring = configure(agent, vm, { ...guestConfig(vm, image, running), mounts });
    await withDeadline(configuring, {
      ms: ctx.bootDeadlineMs,
      signal: options.signal,
      what: "the guest's configuration",
    });
  });
  await steps.run("started", async () => {
    const waits = { signal: options.signal, timeoutMs: ctx.bootDeadlineMs };
    const guest: StartedGuest = {
      writeFile: async (path, file) => await agent.writeFile(path, { ...file, ...waits }),
    };
    for (const capability of ctx.capabilities) await capability.started?.(vm, guest, options);
  });
  options.signal.throwIfAborted();
  ctx.onStep("start:record");
  const started = ctx.store.vms.update(vm.id, {
    state: "running",
    driver: driver.driver.name,
    bootId: agent.facts.bootId,
    startedAt: ctx.now(),
    startSteps: steps.timings,
  });
  undo.move();
  LiveVm.register(ctx, vm.id, { running, agent });
  ctx.onStep("start:done");
  return started;
}

function describe(
  ctx: VmContext,
  context: CapabilityContext,
  files: { kernelPath: string; initramfsPath: string },
): { readonly machine: Machine; readonly mounts: MachineDraft["mounts"] } {
  const draft: MachineDraft = { disks: [], nics: [], cmdline: [], mounts: [] };
  for (const capability of ctx.capabilities) capability.contribute?.(context, draft);
  const { vm } = context;
  const { mounts, ...devices } = draft;
  const machine = {
    id: vm.id,
    vcpus: vm.spec.vcpus,
    memoryMib: vm.spec.memoryMib,
    ...files,
    ...devices,
    consolePath: ctx.layout.console(vm.id),
  };
  return { machine, mounts };
}

async function configure(agent: Agent, vm: VmRecord, config: GuestConfig): Promise<void> {
  await agent.configure(config);
  // The disk may have grown since the last run; a first run made it as large as it is to be.
  if (vm.startedAt !== undefined) await agent.grow();
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
