/** Starting anew what has ended: at once, and after longer and longer pauses when it ends again and again. */
export interface RevivalOptions {
  /** Starts it; a failure counts as an end. */
  readonly revive: () => Promise<void>;
  /** Hears of a failure. */
  readonly onProblem: (error: unknown) => void;
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Calls back after some time, unless disposed; does not keep the process alive. */
  readonly later: Later;
}

export type Later = (ms: number, work: () => void) => Disposable;

/** Before the second start in a row, and then twice as long each time. */
export const FIRST_PAUSE_MS = 500;
export const LONGEST_PAUSE_MS = 60_000;
/** What ran for so long is well: its end is the first one. */
export const WELL_MS = 10_000;

export class Revival implements Disposable {
  readonly #options: RevivalOptions;
  #pauseMs = 0;
  #revivedAt = Number.NEGATIVE_INFINITY;
  #waiting: Disposable | undefined;

  constructor(options: RevivalOptions) {
    this.#options = options;
  }

  /** It has ended. */
  ended(): void {
    if (this.#waiting !== undefined) return;
    const { now, later } = this.#options;
    if (now() - this.#revivedAt >= WELL_MS) this.#pauseMs = 0;
    const pauseMs = this.#pauseMs;
    this.#pauseMs = Math.min(Math.max(pauseMs * 2, FIRST_PAUSE_MS), LONGEST_PAUSE_MS);
    if (pauseMs === 0) this.#revive();
    else this.#waiting = later(pauseMs, () => this.#revive());
  }

  /** Somebody else starts it, or nobody is to: a start that waits is off. Safe to repeat. */
  [Symbol.dispose](): void {
    this.#waiting?.[Symbol.dispose]();
    this.#waiting = undefined;
  }

  #revive(): void {
    this.#waiting = undefined;
    this.#revivedAt = this.#options.now();
    this.#options.revive().catch((error: unknown) => {
      this.#options.onProblem(error);
      this.ended();
    });
  }
}

/** The host's timers. */
export const hostLater: Later = (ms, work) => {
  const timer = setTimeout(work, ms);
  timer.unref();
  return { [Symbol.dispose]: () => clearTimeout(timer) };
};
