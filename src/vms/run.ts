/** `run`: make a VM, start it, run one command in it; and with `remove`, delete it whatever happened. */
import type { AgentStream, StreamHandlers } from "../guest/stream.ts";
import type { Setup } from "../model/bootstrap.ts";
import type { ArrivingTree } from "../model/kept.ts";
import type { OnProgress } from "../model/progress.ts";
import { parseSignal } from "../model/signals.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { createVm, type NewVm } from "./create.ts";
import { type ExecWish, execInVm, runArgv } from "./exec.ts";
import { removeAfterwards } from "./remove.ts";
import type { SetupClient } from "./setup.ts";
import { startReady } from "./start-ready.ts";

export interface RunWish {
  readonly vm: NewVm;
  /** Absent: start only. */
  readonly exec?: ExecWish | undefined;
  readonly remove?: boolean | undefined;
  /** Run before the command; the first that fails fails the run. */
  readonly setup?: Setup | undefined;
  /** As in `StartOptions`. */
  readonly cold?: boolean | undefined;
}

/** The client of a run. */
export interface RunClient {
  readonly onProgress: OnProgress;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  readonly handlers: StreamHandlers;
  /** A work tree that the command needs. */
  readonly tree?: ArrivingTree | undefined;
  readonly setup: SetupClient;
  /** The VM is up, and everything has arrived. */
  onReady(vm: VmRecord): void;
  /** The command runs on `stream`; resolves when the client has all of its output and result, or has gone. */
  attach(stream: AgentStream): Promise<void>;
}

/** Errors: those of create, start and exec. With `remove` the VM is gone when this settles. */
export async function runVm(ctx: VmContext, wish: RunWish, client: RunClient): Promise<void> {
  const remove = wish.remove ?? false;
  // Making an image takes a minute; that nothing can run it is said before.
  await ctx.chooseDriver(wish.vm.vmm);
  const { onProgress, signal } = client;
  const created = await createVm(
    ctx,
    { ...wish.vm, ephemeral: remove },
    // With a setup it may go on from where that ended before.
    { onProgress, signal, starts: wish.cold !== true && wish.setup === undefined },
  );
  try {
    const vm = await startReady(ctx, created, wish, client);
    client.onReady(vm);
    if (wish.exec === undefined) return;
    const { config } = await ctx.images.byDigest(vm.imageDigest);
    const argv = runArgv(wish.exec.argv ?? [], config);
    const stopSignal = parseSignal(config.stopSignal);
    const stream = await execInVm(ctx, vm, { ...wish.exec, argv, stopSignal }, client.handlers);
    await client.attach(stream);
  } finally {
    if (remove) await removeAfterwards(ctx, created.id);
  }
}
