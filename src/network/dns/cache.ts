/** Answers of the host's nameservers, told again to whoever asks the very same while they live, and asked for once when many ask. */
import { aged, type Lifetime, lifetimeOf } from "./lifetime.ts";
import { idOf, withId } from "./message.ts";
import type { Ask, Nameserver } from "./upstream.ts";

export interface CacheOptions {
  readonly ask: Ask;
  /** Read for every question: what other servers said is forgotten. */
  readonly servers: () => readonly Nameserver[];
  /** Milliseconds of a clock that only goes forwards. */
  readonly now: () => number;
}

/** The oldest answers go first. */
const MAX_ANSWERS = 2_048;
/** Longer ones are not kept. */
const MAX_BYTES = 4_096;
const MAX_QUESTION_BYTES = 512;
/** Longer than an answer is kept. */
const MAX_LIFE_S = 3_600;

interface Kept {
  readonly message: Uint8Array;
  readonly lifetime: Lifetime;
  readonly keptAt: number;
}

export function createCache({ ask, servers, now }: CacheOptions): Ask {
  const kept = new Map<string, Kept>();
  const underWay = new Map<string, Promise<Uint8Array | undefined>>();
  let heardFrom = "";

  const keep = (key: string, message: Uint8Array): void => {
    const lifetime = message.length > MAX_BYTES ? undefined : lifetimeOf(message);
    if (lifetime === undefined) return;
    const [oldest] = kept.size < MAX_ANSWERS ? [] : kept.keys();
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(key, { message, lifetime, keptAt: now() });
  };

  const recall = (key: string, id: number): Uint8Array | undefined => {
    const found = kept.get(key);
    if (found === undefined) return undefined;
    const ageS = Math.floor((now() - found.keptAt) / 1_000);
    if (ageS < Math.min(found.lifetime.seconds, MAX_LIFE_S)) {
      return aged(found.message, found.lifetime, { id, ageS });
    }
    kept.delete(key);
    return undefined;
  };

  return async (bytes, query, transport) => {
    if (bytes.length > MAX_QUESTION_BYTES) return await ask(bytes, query, transport);
    const asked = servers()
      .map(({ address, port }) => `${address} ${port}`)
      .join();
    if (asked !== heardFrom) kept.clear();
    heardFrom = asked;
    // All but the id: flags, the letters' case and EDNS options have answers of their own.
    const key = `${transport} ${Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("latin1", 2)}`;
    const known = recall(key, idOf(bytes));
    if (known !== undefined) return known;
    const flight = `${asked} ${key}`;
    const running = underWay.get(flight);
    if (running !== undefined) {
      const answer = await running;
      return answer === undefined ? undefined : withId(answer, idOf(bytes));
    }
    const asking = ask(bytes, query, transport);
    underWay.set(flight, asking);
    try {
      const answer = await asking;
      if (answer !== undefined && asked === heardFrom) keep(key, answer);
      return answer;
    } finally {
      underWay.delete(flight);
    }
  };
}
