/** `run`: make a VM, start it, run one command in it; and with `remove`, delete it whatever happened. */
import type { AgentStream, StreamHandlers } from "../guest/stream.ts";
import type { SetupStep } from "../model/bootstrap.ts";
import type { OnProgress } from "../model/progress.ts";
import { parseSignal } from "../model/signals.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";
import { createVm, type NewVm } from "./create.ts";
import { type ExecWish, execInVm, runArgv } from "./exec.ts";
import { removeAfterwards } from "./remove.ts";
import { runSetup, type SetupClient } from "./setup.ts";
import { type StartOptions, startVm } from "./start.ts";

export interface RunWish {
  readonly vm: NewVm;
  /** Absent: start only. */
  readonly exec?: ExecWish | undefined;
  readonly remove?: boolean | undefined;
  /** Run before the command; the first that fails fails the run. */
  readonly setup?: readonly SetupStep[] | undefined;
  /** As in `StartOptions`. */
  readonly cold?: boolean | undefined;
}

/** The client of a run. */
export interface RunClient {
  readonly onProgress: OnProgress;
  /** Aborted when the client has gone. */
  readonly signal: AbortSignal;
  readonly handlers: StreamHandlers;
  /** The guest answers, and nothing was run in it yet: brings what the command needs. What it throws fails the run. */
  readonly arrive?: ((vm: VmRecord) => Promise<unknown>) | undefined;
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
    { onProgress, signal, starts: wish.cold !== true },
  );
  try {
    const vm = await startVm(ctx, created.id, startOptions(wish, client));
    await client.arrive?.(vm);
    if (wish.setup !== undefined) await runSetup(ctx, vm, wish.setup, client.setup);
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

function startOptions({ cold }: RunWish, { onProgress, signal }: RunClient): StartOptions {
  return { cold, onProgress, signal };
}
