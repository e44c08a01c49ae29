/** Several VMs (or images) in one command: side by side, first-seen order, one bad reference does not stop the others. */
import { BangerError } from "../model/errors.ts";
import type { CliContext } from "./context.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { renderError } from "./render/error.ts";

/** Runs `work` for each distinct reference; prints what it returns, and each error; the exit code is 1 when one failed. */
export async function forEachRef(
  ctx: CliContext,
  refs: readonly string[],
  work: (ref: string) => Promise<string>,
): Promise<void> {
  const distinct = [...new Set(refs)];
  const outcomes = await Promise.allSettled(distinct.map(async (ref) => await work(ref)));
  for (const outcome of outcomes) {
    if (outcome.status === "fulfilled") {
      if (outcome.value !== "") ctx.print(outcome.value);
      continue;
    }
    const error = BangerError.from(outcome.reason);
    ctx.say(renderError(error));
    ctx.exitCode = Math.max(ctx.exitCode, exitCodeOf(error));
  }
}
