/** A wait that ends: by itself, at a deadline, or with its caller; the timer and the listener always go. */
import { BangerError } from "../model/errors.ts";
import { beforeAbort } from "./before-abort.ts";

export interface Deadline {
  readonly ms: number;
  readonly signal?: AbortSignal;
  /** What is waited for: a noun, for the error. */
  readonly what: string;
}

/** The outcome of `work`. Errors: `timeout`, what the signal says, and those of `work`, which goes on unheard after either. */
export async function withDeadline<T>(work: Promise<T>, deadline: Deadline): Promise<T> {
  const over = Promise.withResolvers<never>();
  const { ms, signal, what } = deadline;
  const timer = setTimeout(
    () => over.reject(new BangerError("timeout", `${what} took longer than ${ms / 1000} s`)),
    ms,
  );
  try {
    return await beforeAbort(Promise.race([work, over.promise]), signal);
  } finally {
    clearTimeout(timer);
  }
}
