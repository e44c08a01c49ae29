/** A long operation: progress while it runs, one line or JSON lines, and ^C cancels it. */
import { BangerError } from "../../model/errors.ts";
import type { LongCallOptions } from "../../sdk/calls.ts";
import type { CliContext } from "../context.ts";
import { createProgressView } from "../render/progress.ts";

export interface LongFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
}

/** `json`: progress and result as NDJSON on stdout. Errors pass through, after an error line when `json`. */
export async function runLong(
  ctx: CliContext,
  flags: LongFlags,
  work: (options: LongCallOptions) => Promise<{ readonly result: unknown; readonly line: string }>,
): Promise<void> {
  const abort = new AbortController();
  const onSignal = (): void => abort.abort(new BangerError("cancelled", "interrupted"));
  process.once("SIGINT", onSignal).once("SIGTERM", onSignal);
  using view = createProgressView({ quiet: (flags.quiet ?? false) || flags.json === true });
  try {
    const { result, line } = await work({
      signal: abort.signal,
      onProgress: (progress) => {
        if (flags.json === true) ctx.print(JSON.stringify(progress));
        else view.onProgress(progress);
      },
    });
    view.done();
    ctx.print(flags.json === true ? JSON.stringify({ event: "result", result }) : line);
  } catch (thrown) {
    const error = BangerError.from(thrown);
    if (flags.json === true) ctx.print(JSON.stringify({ event: "error", error: error.toBody() }));
    throw error;
  } finally {
    process.off("SIGINT", onSignal).off("SIGTERM", onSignal);
  }
}
