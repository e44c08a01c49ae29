/** Greeting a guest: its agent's first answer, or why there was none, with the console's last lines. */
import { Agent } from "../guest/agent.ts";
import { readTail } from "../lib/file-tail.ts";
import { settlesWithin } from "../lib/settles-within.ts";
import { BangerError } from "../model/errors.ts";
import type { Running } from "../vmm/port.ts";
import { lastWords } from "./console-words.ts";
import type { VmContext } from "./context.ts";
import { errorOfExit } from "./exit.ts";

const CONSOLE_TAIL_BYTES = 16 * 1024;
/** The channel of a hypervisor that dies closes a moment before its end is known. */
const EXIT_GRACE_MS = 1_000;

/**
 * Connects to the agent: its first answer raced against the end of the hypervisor, the deadline and the caller. Errors:
 * `unavailable` (the hypervisor ended), `timeout`, `guest_error`, and what the caller's signal says.
 */
export async function greetAgent(
  ctx: VmContext,
  id: string,
  running: Running,
  options: { readonly fresh: boolean; readonly signal: AbortSignal; readonly deadlineMs?: number },
): Promise<Agent> {
  const { deadlineMs = ctx.bootDeadlineMs } = options;
  const giveUp = new AbortController();
  const deadline = setTimeout(() => giveUp.abort(silent(id, deadlineMs)), deadlineMs);
  void running.exited.then((exit) => giveUp.abort(errorOfExit(exit)));
  try {
    const channel = await running.channel();
    const signal = AbortSignal.any([options.signal, giveUp.signal]);
    return await Agent.connect(channel, { fresh: options.fresh, signal });
  } catch (error) {
    if (options.signal.aborted) throw error;
    if (giveUp.signal.aborted) throw await withConsole(ctx, id, giveUp.signal.reason);
    const dead = await settlesWithin(running.exited, EXIT_GRACE_MS);
    throw await withConsole(ctx, id, dead ? errorOfExit(await running.exited) : error);
  } finally {
    clearTimeout(deadline);
  }
}

/** Adds the console's last lines to an error. */
export async function withConsole(ctx: VmContext, id: string, thrown: unknown): Promise<BangerError> {
  const error = BangerError.from(thrown);
  const lines = lastWords(await readTail(ctx.layout.console(id), CONSOLE_TAIL_BYTES));
  if (lines.length === 0) return error;
  return new BangerError(error.code, `${error.message}\nThe console's last lines:\n  ${lines.join("\n  ")}`, {
    ...(error.cure === undefined ? {} : { cure: error.cure }),
    details: error.details,
    cause: error,
  });
}

function silent(id: string, deadlineMs: number): BangerError {
  const message = `the guest's agent did not answer within ${deadlineMs / 1000} s`;
  const cure = `look at the console with: banger logs ${id}; on a busy host, allow more with boot_timeout in the configuration`;
  return new BangerError("timeout", message, { cure });
}
