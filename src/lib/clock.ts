/** A clock and its timers, so that tests can bring their own time. */
import { abortError } from "./run-program.ts";

export interface Clock {
  /** Unix milliseconds. */
  now(): number;
  /** Calls `wake` once, not before `ms` have passed; what it returns lets go of the timer, and may be repeated. */
  after(ms: number, wake: () => void): () => void;
}

/** The host's clock. Its timers keep the process alive. */
export function createClock(): Clock {
  return {
    now: Date.now,
    after(ms, wake) {
      const timer = setTimeout(wake, ms);
      return () => clearTimeout(timer);
    },
  };
}

/** Errors: what the signal says; the timer always goes. */
export async function pause(ms: number, clock: Clock, signal?: AbortSignal): Promise<void> {
  if (signal?.aborted === true) throw abortError(signal);
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const release = clock.after(ms, resolve);
  const onAbort = (): void => {
    if (signal !== undefined) reject(abortError(signal));
  };
  signal?.addEventListener("abort", onAbort, { once: true });
  try {
    await promise;
  } finally {
    release();
    signal?.removeEventListener("abort", onAbort);
  }
}
