/**
 * The truth after a start of the daemon: records are compared with what the host really runs; what lives is adopted,
 * what was half done is undone, and what belongs to nobody is removed.
 */
import { existsSync, readdirSync, rmSync } from "node:fs";
import { removeTree } from "../lib/remove-tree.ts";
import { settlesWithin } from "../lib/settles-within.ts";
import { isUnrecorded, unmarkUnrecorded } from "../lib/unrecorded.ts";
import { BangerError } from "../model/errors.ts";
import type { VmRecord } from "../model/vm.ts";
import type { Running } from "../vmm/port.ts";
import { cleanupVm } from "./cleanup.ts";
import type { VmContext } from "./context.ts";
import { readHandles } from "./handles.ts";
import { LiveVm } from "./live.ts";
import { removeVm } from "./remove.ts";
import { holdsData } from "./unrecorded.ts";

/** How long the start of a daemon waits for a VM that it adopts; one that is stuck holds up nobody else. */
const PATIENCE_MS = 1_000;

/** Brings records and host into agreement. One VM that cannot be settled does not stop the others; it goes to `error`. */
export async function reconcile(ctx: VmContext): Promise<void> {
  await Promise.all(ctx.store.vms.list().map((vm) => settle(ctx, vm)));
  await sweepDirectories(ctx);
}

async function settle(ctx: VmContext, vm: VmRecord): Promise<void> {
  try {
    const running = await adopt(ctx, vm);
    if (running !== undefined && !vm.ephemeral && (vm.state === "running" || vm.state === "paused")) {
      unmarkUnrecorded(ctx.layout.vmDir(vm.id));
      return await takeOver(ctx, vm, running);
    }
    await running?.kill({ graceMs: 0 });
    if (vm.ephemeral && !wasKept(ctx, vm)) {
      await removeVm(ctx, vm.id, { force: true });
      return;
    }
    // A VM that a machine of the warm pool was meant for.
    rmSync(ctx.layout.aside(vm.id), { force: true });
    if (vm.ephemeral) ctx.store.vms.update(vm.id, { ephemeral: false });
    // A first start that got its record.
    if (vm.startedAt !== undefined) unmarkUnrecorded(ctx.layout.vmDir(vm.id));
    if (vm.state === "stopped") {
      if (hasRun(ctx, vm)) await cleanupVm(ctx, vm.id);
      return;
    }
    // Clean-up also ends a process that was started and not yet written down.
    await cleanupVm(ctx, vm.id);
    ctx.store.vms.update(vm.id, { state: "stopped", stoppedAt: ctx.now(), lastError: interrupted(vm) });
    ctx.log.warn({ vm: vm.id, was: vm.state }, "a VM was found not running");
  } catch (error) {
    const failure = BangerError.from(error);
    ctx.log.error({ vm: vm.id, err: failure }, "a VM could not be settled");
    if (ctx.store.vms.byId(vm.id) !== undefined) {
      ctx.store.vms.update(vm.id, { state: "error", lastError: failure.toBody() });
    }
  }
}

/**
 * A child of a fork that an older database knows from before it ran: it has run since, and is kept. Whatever is to go says so in its
 * directory until then.
 */
function wasKept({ layout }: VmContext, { id, startedAt }: VmRecord): boolean {
  return startedAt === undefined && existsSync(layout.disk(id)) && !isUnrecorded(layout.vmDir(id));
}

/** Something of a run is there. */
function hasRun({ layout }: VmContext, { id }: VmRecord): boolean {
  return existsSync(layout.handles(id)) || existsSync(layout.vmRuntimeDir(id));
}

async function takeOver(ctx: VmContext, vm: VmRecord, running: Running): Promise<void> {
  // Registered first: whatever fails now, there is somebody who can end it.
  const live = LiveVm.register(ctx, vm.id, { running });
  ctx.log.info({ vm: vm.id, pid: running.handles.process.pid }, "adopted a running VM");
  // Before any VM is served, and however long this one takes to answer.
  await ctx.locks.hold(vm.id, () => takeUp(ctx, live));
  // Whoever changes it comes afterwards, and finds a machine that is as the record was.
  const gone = ctx.locks.hold(vm.id, () => goOn(ctx, live));
  if (!(await settlesWithin(gone, PATIENCE_MS)))
    ctx.log.warn({ vm: vm.id }, "an adopted VM does not answer; the daemon goes on without");
}

/** What needs no VM that answers; the caller holds its lock. Never throws. */
async function takeUp(ctx: VmContext, live: LiveVm): Promise<void> {
  const vm = recordOf(ctx, live);
  if (vm === undefined) return;
  for (const capability of ctx.capabilities) await capability.adopted?.(vm);
}

/** What only a VM that answers can do; the caller holds its lock. Never throws. */
async function goOn(ctx: VmContext, live: LiveVm): Promise<void> {
  const { id, running } = live;
  const isThere = (): boolean => ctx.live.get(id) === live;
  const vm = recordOf(ctx, live);
  if (vm === undefined) return;
  try {
    // A crash between an order and its record leaves them apart: the record is what was acknowledged.
    await (vm.state === "paused" ? running.pause() : running.resume());
  } catch (error) {
    ctx.log.warn({ vm: id, err: error }, "an adopted VM does not take orders; kill still ends it");
  }
  for (const capability of ctx.capabilities) {
    if (!isThere()) return;
    // What waits for a guest that does not answer goes on by itself; who wants to stop it must not wait, too.
    if (capability.reachable !== undefined) await settlesWithin(capability.reachable(vm), PATIENCE_MS);
  }
  // Connected ahead of its first use; a guest that does not answer now may later.
  if (vm.state === "running") live.agent().catch(() => undefined);
}

/** Undefined when somebody ended it before the lock was had. */
function recordOf(ctx: VmContext, live: LiveVm): VmRecord | undefined {
  return ctx.live.get(live.id) === live ? ctx.store.vms.byId(live.id) : undefined;
}

/** The VM's process, by its handles. */
async function adopt(ctx: VmContext, vm: VmRecord): Promise<Running | undefined> {
  const handles = readHandles(ctx.layout, vm.id);
  if (handles === undefined) return undefined;
  const dir = { stateDir: ctx.layout.vmDir(vm.id), runtimeDir: ctx.layout.vmRuntimeDir(vm.id) };
  return await ctx.driverByName(handles.driver)?.adopt(handles, dir);
}

function interrupted(vm: VmRecord): VmRecord["lastError"] {
  // What put it into error is still the cause.
  if (vm.state === "error") return vm.lastError;
  const error =
    vm.state === "stopping"
      ? undefined
      : new BangerError(
          "unavailable",
          vm.state === "starting"
            ? `the daemon ended while ${vm.name} was starting`
            : `the hypervisor of ${vm.name} ended while no daemon was there to see it`,
          { cure: `start it with: banger start ${vm.name}` },
        );
  return error?.toBody();
}

/** Directories without a row are what a crash left of a create or a removal. One that holds data stays, and the log says so. */
async function sweepDirectories(ctx: VmContext): Promise<void> {
  const names = [...readdirSync(ctx.layout.vmsDir), ...readdirSync(ctx.layout.runtimeDir)];
  for (const id of new Set(names.filter((name) => /^[0-9a-f]{12}$/.test(name)))) {
    if (ctx.store.vms.byId(id) !== undefined) continue;
    try {
      await sweepDirectory(ctx, id);
    } catch (error) {
      ctx.log.error(
        { directory: ctx.layout.vmDir(id), err: error },
        "what a crash had left could not be removed",
      );
    }
  }
}

async function sweepDirectory(ctx: VmContext, id: string): Promise<void> {
  await cleanupVm(ctx, id);
  const directory = ctx.layout.vmDir(id);
  if (holdsData(ctx, id)) {
    ctx.log.warn({ directory }, "a VM's directory has no record; it was left as it is");
    return;
  }
  await removeTree(directory);
  ctx.log.warn({ vm: id }, "removed what a crash had left of a VM");
}
