/** From refused packets to events: of each guest a bounded number a minute, the rest counted. */
export interface BlockedEventsOptions {
  /** Milliseconds, monotonic. */
  readonly now: () => number;
  /** Gets what to tell of a guest, by its address. */
  readonly tell: (guest: string, message: string) => void;
}

export const BLOCKED_PER_MINUTE = 20;
const MINUTE_MS = 60_000;
/** So many guests are counted at once; a pool of /8 could have more. */
const MAX_GUESTS = 65_536;

interface Count {
  since: number;
  told: number;
  untold: number;
}

export class BlockedEvents {
  readonly #options: BlockedEventsOptions;
  readonly #counts = new Map<string, Count>();

  constructor(options: BlockedEventsOptions) {
    this.#options = options;
  }

  /** Tells of it unless this guest has had its share of the minute; then the next one that is told says how many were not. */
  add(guest: string, message: string): void {
    const count = this.#count(guest);
    if (count.told >= BLOCKED_PER_MINUTE) {
      count.untold += 1;
      return;
    }
    const more = count.untold === 0 ? "" : ` (and ${count.untold} more before it)`;
    count.told += 1;
    count.untold = 0;
    this.#options.tell(guest, `${message}${more}`);
  }

  #count(guest: string): Count {
    const now = this.#options.now();
    const found = this.#counts.get(guest);
    if (found !== undefined && now - found.since < MINUTE_MS) return found;
    if (this.#counts.size >= MAX_GUESTS) this.#counts.clear();
    const count = { since: now, told: 0, untold: found?.untold ?? 0 };
    this.#counts.set(guest, count);
    return count;
  }
}
