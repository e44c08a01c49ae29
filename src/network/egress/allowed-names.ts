/** Addresses that the resolver answered for names that a policy allows: good for as long as the answer lives. */
import type { NetworkRule } from "../../model/network-rule.ts";
import type { NamedAnswer } from "../named-addresses.ts";

/** A client looks at its clock after us; and an answer with TTL 0 must be of use once. */
const GRACE_S = 10;
const MAX_TTL_S = 3_600;
/** The oldest go first. */
const MAX_HELD = 4_096;

export class AllowedNames {
  /** Until when, by address and name. */
  readonly #held = new Map<string, number>();
  readonly #now: () => number;

  /** `now` is a clock in milliseconds. */
  constructor(now: () => number) {
    this.#now = now;
  }

  allow({ rules, addresses, ttlS }: NamedAnswer): void {
    const until = this.#now() + (Math.min(ttlS, MAX_TTL_S) + GRACE_S) * 1000;
    for (const address of addresses) {
      for (const name of rules.flatMap(nameOf)) {
        const key = `${address} ${name}`;
        const longest = Math.max(until, this.#held.get(key) ?? 0);
        this.#held.delete(key);
        this.#held.set(key, longest);
      }
    }
    const tooMany = Math.max(0, this.#held.size - MAX_HELD);
    for (const key of [...this.#held.keys()].slice(0, tooMany)) this.#held.delete(key);
  }

  /** Names by which the guest may know the address now. */
  of(address: string): string[] {
    const now = this.#now();
    return [...this.#held].flatMap(([key, until]) => {
      const [held, name = ""] = key.split(" ");
      return held === address && until > now ? [name] : [];
    });
  }
}

/** A name that the rule covers: which ports go with it, the policy says. */
function nameOf({ host }: NetworkRule): string[] {
  switch (host.kind) {
    case "net":
      return [];
    case "name":
      return [host.name];
    case "below":
      return [`any.${host.name}`];
  }
}
