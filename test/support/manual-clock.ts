/** A clock that stands still until a test moves it, for whoever takes an IdleClock. */
import type { IdleClock } from "../../src/vms/idle.ts";

interface Timer {
  readonly at: number;
  readonly wake: () => void;
}

export class ManualClock implements IdleClock {
  readonly #timers = new Set<Timer>();
  #now = 0;
  /** Hears of every timer that is set. */
  onSet: () => void = () => undefined;

  now(): number {
    return this.#now;
  }

  after(ms: number, wake: () => void): () => void {
    const timer = { at: this.#now + ms, wake };
    this.#timers.add(timer);
    this.onSet();
    return () => void this.#timers.delete(timer);
  }

  /** How many timers are set. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Moves on by `ms`; timers that are due wake in their order, each at its own instant. */
  advance(ms: number): void {
    const end = this.#now + ms;
    for (;;) {
      const [next] = [...this.#timers].filter((timer) => timer.at <= end).toSorted((a, b) => a.at - b.at);
      if (next === undefined) break;
      this.#timers.delete(next);
      this.#now = Math.max(this.#now, next.at);
      next.wake();
    }
    this.#now = end;
  }
}
