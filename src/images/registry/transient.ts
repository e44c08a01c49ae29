/** Failures that may be over in a moment, and trying again within bounds. */
import { type Clock, pause } from "../../lib/clock.ts";
import { BangerError, type ErrorCode, type ErrorExtras } from "../../model/errors.ts";

/** What another attempt may cure. */
export class TransientError extends BangerError {
  /** How long the other side asked to be left alone. */
  readonly retryAfterMs: number | undefined;

  constructor(
    code: ErrorCode,
    message: string,
    extras: ErrorExtras & { readonly retryAfterMs?: number | undefined } = {},
  ) {
    const { retryAfterMs, ...rest } = extras;
    super(code, message, rest);
    this.retryAfterMs = retryAfterMs;
  }
}

/** In a row, without anything gained in between. */
const MAX_ATTEMPTS = 5;
const FIRST_WAIT_MS = 500;
/** Who asks for more is not waited for. */
const MAX_WAIT_MS = 60_000;

export interface Patience {
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/**
 * Attempts again, at most five times, what fails with a `TransientError`, after half a second, then after twice as long each
 * time, or as the other side asked. Errors: the last of the attempts, and what the signal says.
 */
export async function withRetries<T>(attempt: () => Promise<T>, patience: Patience): Promise<T> {
  for (let failures = 0; ; ) {
    try {
      return await attempt();
    } catch (error) {
      failures += 1;
      await waitAfter(error, failures, patience);
    }
  }
}

/** Waits before the next attempt, or throws the error when there is to be none. `failures` in a row, this one with them. */
export async function waitAfter(
  error: unknown,
  failures: number,
  { clock, signal }: Patience,
): Promise<void> {
  if (!(error instanceof TransientError) || failures >= MAX_ATTEMPTS) throw error;
  const waitMs = Math.max(FIRST_WAIT_MS * 2 ** (failures - 1), error.retryAfterMs ?? 0);
  if (waitMs > MAX_WAIT_MS) throw error;
  await pause(waitMs, clock, signal);
}

/** `Retry-After`, RFC 9110 10.2.3: seconds, or a date. Undefined: absent, or neither. */
export function parseRetryAfterMs(header: string | null, clock: Clock): number | undefined {
  if (header === null) return undefined;
  if (/^\s*\d{1,9}\s*$/u.test(header)) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? undefined : Math.max(0, at - clock.now());
}
