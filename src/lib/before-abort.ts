/** A wait that ends with its caller; the listener always goes. */
import { abortError } from "./run-program.ts";

/** The outcome of `work`. Errors: what the signal says, if that comes first, and those of `work`, which goes on unheard. */
export async function beforeAbort<T>(work: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return await work;
  const aborted = Promise.withResolvers<never>();
  const abort = (): void => aborted.reject(abortError(signal));
  work.catch(() => undefined);
  signal.addEventListener("abort", abort, { once: true });
  try {
    if (signal.aborted) abort();
    return await Promise.race([aborted.promise, work]);
  } finally {
    signal.removeEventListener("abort", abort);
  }
}
