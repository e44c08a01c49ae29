/** Work that Ctrl-C or TERM gives up, so that it can undo what it began. */
import { BangerError } from "../model/errors.ts";

const SIGNALS = ["SIGINT", "SIGTERM"] as const;

/**
 * Runs `work`, whose signal is aborted by the first of the signals; the next one of a kind ends the program at once. Errors: those of
 * `work`; what it says when it was given up is `cancelled`, and `isInterrupted`.
 */
export async function interruptible<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const abort = new AbortController();
  const interrupted = createInterrupted();
  const onSignal = (): void => abort.abort(interrupted);
  for (const name of SIGNALS) process.once(name, onSignal);
  try {
    return await work(abort.signal);
  } catch (thrown) {
    const isOurs = abort.signal.aborted && BangerError.from(thrown).code === "cancelled";
    throw isOurs ? interrupted : thrown;
  } finally {
    for (const name of SIGNALS) process.off(name, onSignal);
  }
}

/** What a command ends with that its user gave up. */
export function createInterrupted(): BangerError {
  return new BangerError("cancelled", "interrupted", { details: { interrupted: true } });
}

/** Whether the user of this command gave it up, rather than somebody else. */
export function isInterrupted(error: BangerError): boolean {
  return error.details["interrupted"] === true;
}
