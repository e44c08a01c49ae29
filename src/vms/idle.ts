/** Which running VMs nobody uses: one timer for the nearest deadline, whatever the number of VMs. Nothing is persisted. */

/** A clock that only goes forward, and its timers; real ones by `createIdleClock`. */
export interface IdleClock {
  /** Milliseconds since some instant. */
  now(): number;
  /** Calls `wake` once, not before `ms` have passed; what it returns lets go of the timer, and may be repeated. */
  after(ms: number, wake: () => void): () => void;
}

export interface IdleOptions {
  /** How long a VM may be unused; undefined: for ever, and nothing is watched. */
  readonly afterMs: number | undefined;
  readonly clock: IdleClock;
  /** Hears of a VM once when it has become idle, and again only after another use. Must not throw. */
  readonly onIdle: (id: string) => void;
}

interface Entry {
  uses: number;
  /** When it was last used, by the clock. */
  since: number;
  told: boolean;
}

export class IdleWatch implements Disposable {
  readonly #options: IdleOptions;
  readonly #entries = new Map<string, Entry>();
  #release: (() => void) | undefined;
  #over = false;

  constructor(options: IdleOptions) {
    this.#options = options;
  }

  /** Begins to watch a VM that runs now, as just used. Disposing ends it; a later watch of the same VM is another one. */
  watch(id: string): Disposable {
    if (this.#options.afterMs === undefined) return nothing;
    const entry: Entry = { uses: 0, since: this.#options.clock.now(), told: false };
    this.#entries.set(id, entry);
    this.#arm();
    return {
      [Symbol.dispose]: () => {
        if (this.#entries.get(id) === entry) this.#entries.delete(id);
      },
    };
  }

  /** A use that is over at once. Does nothing for a VM that is not watched. */
  touch(id: string): void {
    this.use(id)[Symbol.dispose]();
  }

  /** A use that lasts until it is disposed, which may be repeated. */
  use(id: string): Disposable {
    const entry = this.#entries.get(id);
    if (entry === undefined) return nothing;
    entry.uses += 1;
    let open = true;
    return {
      [Symbol.dispose]: () => {
        if (!open) return;
        open = false;
        entry.uses -= 1;
        entry.since = this.#options.clock.now();
        entry.told = false;
        this.#arm();
      },
    };
  }

  /** Whether a VM is watched, unused, and has been for long enough. */
  isIdle(id: string): boolean {
    const entry = this.#entries.get(id);
    return entry !== undefined && this.#leftMs(entry) <= 0;
  }

  /** Lets go of the timer; nobody hears of anything any more. */
  [Symbol.dispose](): void {
    this.#over = true;
    this.#entries.clear();
    this.#release?.();
    this.#release = undefined;
  }

  /** A use moves a deadline away only, and a new one is the latest: a timer that is set already comes soon enough. */
  #arm(): void {
    if (this.#over || this.#release !== undefined) return;
    const waiting = [...this.#entries.values()].filter((entry) => entry.uses === 0 && !entry.told);
    if (waiting.length === 0) return;
    const nearestMs = Math.min(...waiting.map((entry) => this.#leftMs(entry)));
    this.#release = this.#options.clock.after(Math.max(0, nearestMs), () => this.#wake());
  }

  #wake(): void {
    this.#release = undefined;
    const idle = [...this.#entries].filter(([, entry]) => !entry.told && this.#leftMs(entry) <= 0);
    for (const [, entry] of idle) entry.told = true;
    this.#arm();
    for (const [id] of idle) this.#options.onIdle(id);
  }

  #leftMs(entry: Entry): number {
    const { afterMs = Infinity, clock } = this.#options;
    return entry.uses > 0 ? Infinity : entry.since + afterMs - clock.now();
  }
}

/** setTimeout(2) of the platform counts in 31 bits; a longer wait wakes early, which an IdleWatch does not mind. */
const MAX_TIMER_MS = 2 ** 31 - 1;

/** The host's monotonic clock: setting the time makes no VM idle. Its timers do not keep the process alive. */
export function createIdleClock(): IdleClock {
  return {
    now: () => performance.now(),
    after(ms, wake) {
      const timer = setTimeout(wake, Math.min(Math.ceil(ms), MAX_TIMER_MS));
      timer.unref();
      return () => clearTimeout(timer);
    },
  };
}

const nothing: Disposable = { [Symbol.dispose]: () => undefined };
