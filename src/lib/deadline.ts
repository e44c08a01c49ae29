/** A wait that ends: by itself, at a deadline, or with its caller; the timer and the listener always go. */
import { BangerError } from "../model/errors.ts";
import { abortError } from "./run-program.ts";

export interface Deadline {
  readonly ms: number;
  readonly signal?: AbortSignal;
  /** What is waited for: a noun, for the error. */
  readonly what: string;
}

/** The outcome of `work`. Errors: `timeout`, what the signal says, and those of `work`, which goes on unheard after either. */
export async function withDeadline<T>(work: Promise<T>, deadline: Deadline): Promise<T> {
  const ended = Promise.withResolvers<never>();
  const timer = setTimeout(
    () =>
      ended.reject(new BangerError("timeout", `${deadline.what} took longer than ${deadline.ms / 1000} s`)),
    deadline.ms,
  );
  const { signal } = deadline;
  const onAbort = (): void => {
    if (signal !== undefined) ended.reject(abortError(signal));
  };
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener("abort", onAbort, { once: true });
  work.catch(() => undefined);
  try {
    return await Promise.race([work, ended.promise]);
  } finally {
    clearTimeout(timer);
    signal?.removeEventListener("abort", onAbort);
  }
}
