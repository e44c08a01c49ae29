/** When to try again what went wrong: ever later, up to a limit, and at once again after it has gone well for a while. */
import type { IdleClock } from "./idle.ts";

/** After the first failure; twice as long after each other one. */
export const FIRST_MS: number = 1_000;
export const LONGEST_MS: number = 5 * 60_000;
/** What has held for so long has gone well. */
export const STEADY_MS: number = 60_000;

export interface BackOffOptions {
  readonly clock: IdleClock;
  /** The time has come to try again. Must not throw. */
  readonly again: () => void;
  /** It has gone well for a while, after failures. Must not throw. */
  readonly cured: () => void;
}

export class BackOff {
  readonly #options: BackOffOptions;
  #failures = 0;
  /** Lets go of the timer for the next attempt, or of the one that says that all is well. */
  #release: (() => void) | undefined;
  #waiting = false;

  constructor(options: BackOffOptions) {
    this.#options = options;
  }

  /** Whether an attempt would come too early. */
  get isWaiting(): boolean {
    return this.#waiting;
  }

  /** It went wrong: `again` comes after so many milliseconds. Undefined for one more failure of the same attempt. */
  failed(): { readonly failures: number; readonly waitMs: number } | undefined {
    if (this.#waiting) return undefined;
    this.#release?.();
    this.#failures += 1;
    this.#waiting = true;
    const waitMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** (this.#failures - 1));
    this.#release = this.#options.clock.after(waitMs, () => {
      this.#waiting = false;
      this.#release = undefined;
      this.#options.again();
    });
    return { failures: this.#failures, waitMs };
  }

  /** It went well so far. */
  succeeded(): void {
    if (this.#failures === 0 || this.#release !== undefined) return;
    this.#release = this.#options.clock.after(STEADY_MS, () => {
      this.#failures = 0;
      this.#release = undefined;
      this.#options.cured();
    });
  }

  /** Lets go of its timer: nobody hears of anything any more. */
  stop(): void {
    this.#release?.();
    this.#release = undefined;
    this.#waiting = true;
  }
}
