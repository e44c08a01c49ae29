/** From a record to a guest that is configured: it boots, or goes on from a saved machine. */
import { existsSync, mkdirSync } from "node:fs";
import type { Agent } from "../guest/agent.ts";
import type { GuestConfig } from "../guest/guest-config.ts";
import { withDeadline } from "../lib/deadline.ts";
import type { BootFiles, LongOptions, ReadyImage } from "../model/boot.ts";
import type { CapabilityContext } from "../model/capability.ts";
import type { SavedMachine } from "../model/saved.ts";
import { diskBytes } from "../model/spec.ts";
import type { VmRecord } from "../model/vm.ts";
import type { StartOptions as DriverStartOptions, Running } from "../vmm/port.ts";
import { cleanupVm } from "./cleanup.ts";
import type { ReadyDriver, VmContext } from "./context.ts";
import { type Description, describe, type GuestPlace } from "./describe.ts";
import { greetAgent } from "./greet.ts";
import { guestConfig } from "./guest-config.ts";
import { writeHandles } from "./handles.ts";
import { newIdentity } from "./identity.ts";
import type { PooledClone } from "./pooled-clone.ts";
import type { Steps } from "./steps.ts";

/** How long a guest that goes on may take until it knows who it is; after that it never will. */
const RESUME_DEADLINE_MS = 20_000;

/** What a machine is made of. */
export interface Parts {
  readonly vm: VmRecord;
  readonly image: ReadyImage;
  readonly files: BootFiles;
  readonly driver: ReadyDriver;
  readonly saved?: SavedMachine | undefined;
  /** Has gone on already, under the VM's id. */
  readonly pooled?: PooledClone | undefined;
}

/** A guest that can be used. */
export interface Up {
  readonly running: Running;
  readonly agent: Agent;
  readonly bootId: string;
}

export interface BringUpOptions extends LongOptions {
  readonly steps: Steps;
  /** Gets the undo of everything; the caller disposes it when something fails, and moves it when nothing did. */
  readonly undo: AsyncDisposableStack;
  /** The process exists, and its guest has only begun. */
  readonly spawned?: (process: { readonly pid: number }) => void;
  /** As in `CapabilityContext`. */
  readonly keeps: boolean;
}

/** A guest did not go on from what was saved: another way may work. */
export class NotResumed extends Error {}

/** Errors: those of `startVm`; `NotResumed`, with the cause, when it was to go on from a saved machine and did not. */
export async function bringUp(ctx: VmContext, parts: Parts, options: BringUpOptions): Promise<Up> {
  const { vm, image, saved } = parts;
  const { steps, undo } = options;
  const context: CapabilityContext = { vm, image, saved, keeps: options.keeps };
  // It is the VM's already, whatever happens.
  if (parts.pooled !== undefined) undo.use(parts.pooled.undo);
  await steps.run("preflight", async () => {
    for (const capability of ctx.capabilities) await capability.preflight?.(context);
  });
  if (parts.pooled !== undefined) {
    for (const capability of ctx.capabilities) await capability.taken?.(context);
    return await orNotResumed(options, takeUp(ctx, { ...parts, pooled: parts.pooled }, options));
  }
  const isNew = !existsSync(ctx.layout.disk(vm.id)) && saved === undefined;
  await steps.run("prepare", async () => {
    mkdirSync(ctx.layout.vmDir(vm.id), { recursive: true, mode: 0o700 });
    // Clean-up is the undo of everything at once: it needs no handles and may be repeated.
    undo.defer(() => cleanupVm(ctx, vm.id));
    for (const capability of ctx.capabilities) await capability.prepare?.(context, undo);
  });
  const description = describe(ctx, context, parts.files);
  if (saved?.machineDir === undefined) return await boot(ctx, parts, { ...description, isNew, ...options });
  const { machineDir } = saved;
  return await orNotResumed(
    options,
    goOn(ctx, { ...parts, saved }, { ...description, machineDir, ...options }),
  );
}

async function orNotResumed(options: BringUpOptions, going: Promise<Up>): Promise<Up> {
  try {
    return await going;
  } catch (cause) {
    if (options.signal.aborted) throw cause;
    throw new NotResumed("the guest did not go on from what was saved", { cause });
  }
}

type BootOptions = BringUpOptions & Description & { readonly isNew: boolean };

async function boot(ctx: VmContext, parts: Parts, options: BootOptions): Promise<Up> {
  const { steps, signal, machine, mounts, place } = options;
  const { driver } = parts.driver;
  const running = await steps.run("spawn", async () =>
    known(
      ctx,
      parts,
      options,
      await driver.start(machine, runDir(ctx, parts.vm), starting(ctx, parts, options)),
    ),
  );
  const agent = await steps.run("boot", () => greetAgent(ctx, parts.vm.id, running, { fresh: true, signal }));
  options.undo.defer(() => agent.close());
  await steps.run("configure", async () => {
    const configuring = configure(
      agent,
      { ...guestConfig(parts.vm, parts.image, running), mounts, ...place },
      options.isNew ? undefined : diskBytes(parts.vm.spec),
    );
    await withDeadline(configuring, { ms: ctx.bootDeadlineMs, signal, what: "the guest's configuration" });
  });
  return { running, agent, bootId: agent.facts.bootId };
}

type GoOnOptions = BringUpOptions & Description & { readonly machineDir: string };

async function goOn(
  ctx: VmContext,
  parts: Parts & { readonly saved: SavedMachine },
  options: GoOnOptions,
): Promise<Up> {
  const { steps, machine, machineDir, place } = options;
  const { driver } = parts.driver;
  const { making, diskMib } = parts.saved;
  await making?.captured;
  let greeting: Promise<Agent> | undefined;
  const running = await steps.run("resume", async () => {
    const running = await driver.resume(machine, machineDir, runDir(ctx, parts.vm), {
      ...starting(ctx, parts, options),
      whole: making?.whole,
      reachable: (running) => {
        known(ctx, parts, options, running);
        greeting = greetClone(ctx, parts, options, running);
        // Should the machine not go on, that is the error.
        greeting.catch(() => undefined);
      },
    });
    return greeting === undefined ? known(ctx, parts, options, running) : running;
  });
  return await identify(ctx, parts, { ...options, place, running, hasMib: diskMib, greeting });
}

async function greetClone(
  ctx: VmContext,
  { vm }: Parts,
  { signal, undo }: BringUpOptions,
  running: Running,
): Promise<Agent> {
  const deadlineMs = resumeDeadlineMs(ctx);
  const agent = await greetAgent(ctx, vm.id, running, { fresh: false, signal, deadlineMs });
  undo.defer(() => agent.close());
  return agent;
}

function resumeDeadlineMs(ctx: VmContext): number {
  return Math.min(RESUME_DEADLINE_MS, ctx.bootDeadlineMs);
}

/** What was prepared for it is the VM's: only who it is, is still to be said. */
async function takeUp(
  ctx: VmContext,
  parts: Parts & { readonly pooled: PooledClone },
  options: BringUpOptions,
): Promise<Up> {
  const { running, wish } = parts.pooled;
  await options.steps.run("take", () => running.resume());
  const { place } = describe(ctx, { ...parts, keeps: options.keeps }, parts.files);
  return await identify(ctx, parts, { ...options, place, running, hasMib: wish.diskMib });
}

type IdentifyOptions = BringUpOptions & {
  readonly place: GuestPlace;
  readonly running: Running;
  /** The size that its disk has now. */
  readonly hasMib: number;
  /** Under way already, when it is. */
  readonly greeting?: Promise<Agent> | undefined;
};

/** A guest that has gone on becomes the VM. */
async function identify(ctx: VmContext, parts: Parts, options: IdentifyOptions): Promise<Up> {
  const { steps, signal, running, place, hasMib } = options;
  const deadlineMs = resumeDeadlineMs(ctx);
  const identity = { ...newIdentity(parts.vm), ...place };
  const agent = await steps.run("identify", async () => {
    const agent = await (options.greeting ?? greetClone(ctx, parts, options, running));
    await withDeadline(agent.resumed(identity), { ms: deadlineMs, signal, what: "the guest's new identity" });
    return agent;
  });
  if (hasMib < parts.vm.spec.diskMib) {
    await steps.run("grow", async () => {
      for (const capability of ctx.capabilities)
        await capability.resumed?.({ ...parts, keeps: options.keeps }, running);
      const grown = agent.grow(diskBytes(parts.vm.spec));
      await withDeadline(grown, { ms: ctx.bootDeadlineMs, signal, what: "growing the file system" });
    });
  }
  return { running, agent, bootId: identity.bootId };
}

/** What every process gets before its guest runs. */
function starting(ctx: VmContext, { vm }: Parts, { signal, spawned }: BringUpOptions): DriverStartOptions {
  return {
    signal,
    spawned: async (process) => {
      for (const capability of ctx.capabilities) await capability.spawned?.(vm, process);
      spawned?.(process);
    },
  };
}

/** Writes down where a process is to be found, before anything relies on it. */
function known(ctx: VmContext, { vm }: Parts, options: BringUpOptions, running: Running): Running {
  options.undo.defer(() => running.kill({ graceMs: 0 }));
  ctx.onStep("start:handles");
  writeHandles(ctx.layout, vm.id, running.handles);
  return running;
}

function runDir(ctx: VmContext, vm: VmRecord): { stateDir: string; runtimeDir: string } {
  return { stateDir: ctx.layout.vmDir(vm.id), runtimeDir: ctx.layout.vmRuntimeDir(vm.id) };
}

async function configure(
  agent: Agent,
  config: GuestConfig,
  usedDiskBytes: number | undefined,
): Promise<void> {
  await agent.configure(config);
  // The disk may have grown since it was used last; a new one is as large as it is to be.
  if (usedDiskBytes !== undefined) await agent.grow(usedDiskBytes);
}
