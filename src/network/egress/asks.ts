/** How often a guest may ask for a connection: a bucket that fills at a rate. */
import { ASKS_AT_ONCE, ASKS_PER_SECOND } from "./limits.ts";

export class Asks {
  readonly #now: () => number;
  #left = ASKS_AT_ONCE;
  #at: number;

  /** `now` is a clock in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
    this.#at = now();
  }

  /** Counts one; false when it is one too many. */
  take(): boolean {
    const now = this.#now();
    this.#left = Math.min(ASKS_AT_ONCE, this.#left + (Math.max(0, now - this.#at) * ASKS_PER_SECOND) / 1000);
    this.#at = now;
    if (this.#left < 1) return false;
    this.#left -= 1;
    return true;
  }
}
