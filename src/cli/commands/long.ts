/** A long operation: progress while it runs, one line or JSON lines, and ^C cancels it. */
import type { ProgressLine } from "../../api/types/progress.ts";
import { BangerError } from "../../model/errors.ts";
import type { LongCallOptions } from "../../sdk/calls.ts";
import type { CliContext } from "../context.ts";
import { interruptible } from "../interrupt.ts";
import { createProgressView } from "../render/progress.ts";

export interface LongFlags {
  readonly json?: boolean;
  readonly quiet?: boolean;
  /** Stands on each JSON line: several things are worked on at once. */
  readonly ref?: string | undefined;
}

/** `json`: progress and result as NDJSON on stdout. Errors pass through, after an error line when `json`. */
export async function runLong(
  ctx: CliContext,
  flags: LongFlags,
  work: (options: LongCallOptions) => Promise<{ readonly result: unknown; readonly line: string }>,
): Promise<void> {
  const printLine = (said: ProgressLine): void => ctx.print(JSON.stringify({ ...said, ref: flags.ref }));
  using view = createProgressView({ quiet: (flags.quiet ?? false) || flags.json === true });
  try {
    const onProgress = (progress: ProgressLine): void => {
      if (flags.json === true) printLine(progress);
      else view.onProgress(progress);
    };
    const { result, line } = await interruptible(async (signal) => await work({ signal, onProgress }));
    view.done();
    if (flags.json === true) printLine({ event: "result", result });
    else ctx.print(line);
  } catch (thrown) {
    const error = BangerError.from(thrown);
    if (flags.json === true) printLine({ event: "error", error: error.toBody() });
    throw error;
  }
}
