/** The live half of VMs: what runs now, how it ends, and how the record hears of it. */
import { Agent } from "../guest/agent.ts";
import { lastLines, readTail } from "../lib/file-tail.ts";
import { BangerError } from "../model/errors.ts";
import type { Running } from "../vmm/port.ts";
import { cleanupVm } from "./cleanup.ts";
import type { LiveVm, VmContext } from "./context.ts";
import { errorOfExit, failureOfExit } from "./exit.ts";

const CONSOLE_TAIL_BYTES = 16 * 1024;
const CONSOLE_LINES = 12;

/**
 * Connects to the agent: its first answer raced against the end of the hypervisor, the deadline and the caller. The
 * error carries the console's last lines.
 */
export async function greetAgent(
  ctx: VmContext,
  id: string,
  running: Running,
  options: { readonly fresh: boolean; readonly signal: AbortSignal },
): Promise<Agent> {
  const giveUp = new AbortController();
  const deadline = setTimeout(() => giveUp.abort(silent(ctx)), ctx.bootDeadlineMs);
  const signal = AbortSignal.any([options.signal, giveUp.signal]);
  void running.exited.then((exit) => giveUp.abort(errorOfExit(exit)));
  try {
    const channel = await running.channel();
    return await Agent.connect(channel, { fresh: options.fresh, signal });
  } catch (error) {
    if (options.signal.aborted) throw error;
    throw await withConsole(ctx, id, giveUp.signal.aborted ? giveUp.signal.reason : error);
  } finally {
    clearTimeout(deadline);
  }
}

/** Registers a running VM and watches over its end. */
export function goLive(ctx: VmContext, id: string, running: Running, agent: Promise<Agent>): LiveVm {
  const live: LiveVm = { id, running, agent, connected: undefined };
  ctx.live.set(id, live);
  const broken = Promise.withResolvers<BangerError>();
  const onLost = (reason: BangerError): void => {
    // A guest that breaks the protocol fails; one whose channel is gone or silent may only be ending, or stuck.
    if (reason.code === "guest_error") broken.resolve(reason);
    else ctx.log.info({ vm: id, err: reason }, "the agent cannot be reached");
  };
  agent.then(
    (connected) => {
      live.connected = connected;
      void connected.closed.then(onLost);
    },
    (error: unknown) => onLost(BangerError.from(error)),
  );
  void Promise.race([running.exited.then(() => undefined), broken.promise]).then((reason) =>
    bury(ctx, live, reason).catch((error: unknown) =>
      ctx.log.error({ vm: id, err: error }, "burying a VM failed"),
    ),
  );
  return live;
}

/** Ends what is left of a VM that ended by itself or broke the protocol; nothing to do when a verb ended it. */
async function bury(ctx: VmContext, live: LiveVm, reason: BangerError | undefined): Promise<void> {
  await ctx.locks.hold(live.id, async () => {
    if (ctx.live.get(live.id) !== live) return;
    ctx.live.delete(live.id);
    live.connected?.close();
    await live.running.kill({ graceMs: 0 });
    const exit = await live.running.exited;
    const failure = reason ?? failureOfExit(exit);
    const error = failure === undefined ? undefined : (await withConsole(ctx, live.id, failure)).toBody();
    await cleanupVm(ctx, live.id);
    ctx.store.vms.update(live.id, { state: "stopped", stoppedAt: ctx.now(), lastError: error });
    ctx.log.info({ vm: live.id, exit, error }, "the VM ended by itself");
  });
}

/** Adds the console's last lines to an error. */
async function withConsole(ctx: VmContext, id: string, thrown: unknown): Promise<BangerError> {
  const error = BangerError.from(thrown);
  const lines = lastLines(await readTail(ctx.layout.console(id), CONSOLE_TAIL_BYTES), CONSOLE_LINES);
  if (lines.length === 0) return error;
  return new BangerError(error.code, `${error.message}\nThe console's last lines:\n  ${lines.join("\n  ")}`, {
    ...(error.cure === undefined ? {} : { cure: error.cure }),
    details: error.details,
    cause: error,
  });
}

function silent(ctx: VmContext): BangerError {
  return new BangerError(
    "timeout",
    `the guest's agent did not answer within ${ctx.bootDeadlineMs / 1000} s`,
    {
      cure: "look at the console with: banger logs NAME",
    },
  );
}
