/** Looking at VMs: what they use, what listens in them, what happens to them. Never takes a VM's lock. */
import type { GuestExec } from "../guest/commands.ts";
import { settlesWithin } from "../lib/settles-within.ts";
import type { GuestListener, GuestStats } from "../model/guest-use.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { reachAgent } from "./exec.ts";
import type { LiveVm } from "./live.ts";
import { liveVm } from "./pause.ts";

/** A guest that takes longer is left out of the statistics. */
const STATS_PATIENCE_MS = 1_000;

export interface StatsOfVm {
  readonly id: string;
  readonly name: string;
  readonly cpuMs: number;
  readonly rssBytes: number;
  readonly guest: GuestStats | undefined;
}

/** What every live VM uses; one that ends meanwhile is left out, and a guest that does not answer is not waited for. */
export async function statsOfVms(ctx: VmContext): Promise<StatsOfVm[]> {
  const live = ctx.store.vms.list().flatMap((vm) => {
    const found = ctx.live.get(vm.id);
    return found === undefined ? [] : [{ vm, live: found }];
  });
  const all = await Promise.all(
    live.map(async (one) => await statsOfVm(one.vm, one.live).catch(() => undefined)),
  );
  return all.filter((stats) => stats !== undefined);
}

async function statsOfVm(vm: VmRecord, live: LiveVm): Promise<StatsOfVm> {
  const host = await live.running.stats();
  const asked = vm.state === "running" ? live.agent().then((agent) => agent.stats()) : undefined;
  const answered = asked !== undefined && (await settlesWithin(asked, STATS_PATIENCE_MS));
  const guest = answered ? await asked.catch(() => undefined) : undefined;
  return { id: vm.id, name: vm.name, ...host, guest };
}

/** The sockets that listen in the guest. Errors: those of `execInVm`. */
export async function portsOfVm(ctx: VmContext, vm: VmRecord): Promise<readonly GuestListener[]> {
  decide("exec", vm);
  return await (await reachAgent(vm, liveVm(ctx, vm).agent())).listeners();
}

/** The detached commands of a VM. Errors: those of `execInVm`. */
export async function execsOfVm(ctx: VmContext, vm: VmRecord): Promise<readonly GuestExec[]> {
  decide("exec", vm);
  return await (await reachAgent(vm, liveVm(ctx, vm).agent())).execs();
}

/** Resolves when the VM is stopped, in error or gone. Rejects with the signal's reason. */
export async function waitForVm(ctx: VmContext, id: string, signal: AbortSignal): Promise<VmRecord> {
  const ended = Promise.withResolvers<void>();
  let last = ctx.store.vms.byId(id);
  const look = (): void => {
    const now = ctx.store.vms.byId(id);
    last = now ?? last;
    if (now === undefined || now.state === "stopped" || now.state === "error") ended.resolve();
  };
  using _listening = ctx.store.events.listen((event) => event.vm === id && look());
  const onAbort = (): void => ended.reject(signal.reason);
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    look();
    await ended.promise;
  } finally {
    signal.removeEventListener("abort", onAbort);
  }
  if (last === undefined) throw new Error(`the VM ${id} was never there`);
  return last;
}
