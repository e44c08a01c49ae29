/**
 * The truth after a start of the daemon: records are compared with what the host really runs; what lives is adopted,
 * what was half done is undone, and what belongs to nobody is removed.
 */
import { existsSync, readdirSync } from "node:fs";
import { rm } from "node:fs/promises";
import { findByCommandLine, type ProcessHandle } from "../lib/process-identity.ts";
import { watchProcess } from "../lib/process-watch.ts";
import { BangerError } from "../model/errors.ts";
import type { VmRecord } from "../model/vm.ts";
import { processMarker, type Running } from "../vmm/port.ts";
import { cleanupVm } from "./cleanup.ts";
import type { VmContext } from "./context.ts";
import { readHandles } from "./handles.ts";
import { LiveVm } from "./live.ts";
import { removeVm } from "./remove.ts";

/** Brings records and host into agreement. One VM that cannot be settled does not stop the others; it goes to `error`. */
export async function reconcile(ctx: VmContext): Promise<void> {
  await Promise.all(ctx.store.vms.list().map((vm) => settle(ctx, vm)));
  await sweepDirectories(ctx);
}

async function settle(ctx: VmContext, vm: VmRecord): Promise<void> {
  try {
    const running = await adopt(ctx, vm);
    if (running !== undefined && !vm.ephemeral && (vm.state === "running" || vm.state === "paused")) {
      // A crash between an order and its record leaves them apart: the record is what was acknowledged.
      await (vm.state === "paused" ? running.pause() : running.resume());
      const live = LiveVm.register(ctx, vm.id, { running });
      // Connected ahead of its first use; a guest that does not answer now may later.
      if (vm.state === "running") live.agent().catch(() => undefined);
      ctx.log.info({ vm: vm.id, pid: running.handles.process.pid }, "adopted a running VM");
      return;
    }
    await running?.kill({ graceMs: 0 });
    if (vm.ephemeral) {
      await removeVm(ctx, vm.id, { force: true });
      return;
    }
    if (vm.state === "stopped") return;
    await cleanupVm(ctx, vm.id);
    ctx.store.vms.update(vm.id, { state: "stopped", stoppedAt: ctx.now(), lastError: interrupted(vm) });
    ctx.log.warn({ vm: vm.id, was: vm.state }, "a VM was found not running");
  } catch (error) {
    const failure = BangerError.from(error);
    ctx.log.error({ vm: vm.id, err: failure }, "a VM could not be settled");
    ctx.store.vms.update(vm.id, { state: "error", lastError: failure.toBody() });
  }
}

/** The VM's process, by its handles; a process that was started and not yet written down is found by its command line, and ended. */
async function adopt(ctx: VmContext, vm: VmRecord): Promise<Running | undefined> {
  const handles = readHandles(ctx.layout, vm.id);
  if (handles === undefined) {
    if (vm.state !== "stopped") await endStrays(vm.id);
    return undefined;
  }
  const dir = { stateDir: ctx.layout.vmDir(vm.id), runtimeDir: ctx.layout.vmRuntimeDir(vm.id) };
  return await ctx.driverByName(handles.driver)?.adopt(handles, dir);
}

async function endStrays(id: string): Promise<void> {
  await Promise.all(findByCommandLine(processMarker(id)).map(endProcess));
}

async function endProcess(found: ProcessHandle): Promise<void> {
  const watch = await watchProcess(found);
  if (watch?.signal("SIGKILL") === true) await watch.ended;
  watch?.release();
}

function interrupted(vm: VmRecord): VmRecord["lastError"] {
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

/**
 * Directories without a row are what a crash left of a create or a removal. One that holds a disk and that the log does not
 * know to be removed is somebody's data (a database that was set aside): it stays, and the log says so.
 */
async function sweepDirectories(ctx: VmContext): Promise<void> {
  const names = [...readdirSync(ctx.layout.vmsDir), ...readdirSync(ctx.layout.runtimeDir)];
  for (const id of new Set(names.filter((name) => /^[0-9a-f]{12}$/.test(name)))) {
    if (ctx.store.vms.byId(id) !== undefined) continue;
    await endStrays(id);
    await cleanupVm(ctx, id);
    if (existsSync(ctx.layout.disk(id)) && !ctx.store.events.knowsRemoval(id)) {
      ctx.log.warn(
        { directory: ctx.layout.vmDir(id) },
        "a VM's directory has no record; it was left as it is",
      );
      continue;
    }
    await rm(ctx.layout.vmDir(id), { recursive: true, force: true });
    ctx.log.warn({ vm: id }, "removed what a crash had left of a VM");
  }
}
