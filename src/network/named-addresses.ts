/** Addresses that the resolver answered for names that a VM's policy allows: in the rules as long as the answer lives. */
import type { NetworkRule } from "../model/network-rule.ts";
import { addScript, deleteScript, type Element, type GuestAddresses, namedElements } from "./elements.ts";

export interface NamedAnswer {
  readonly rules: readonly NetworkRule[];
  /** IPv4 and IPv6. */
  readonly addresses: readonly string[];
  /** How long the guest may use the answer, in seconds. */
  readonly ttlS: number;
}

/** A client looks at its clock after us; and an answer with TTL 0 must be of use once. */
const GRACE_S = 10;
/** So many addresses of one VM are held; the oldest go first. */
const MAX_PER_VM = 4_096;
/** Longer than a DNS answer may live here. */
const MAX_TTL_S = 3_600;

interface Held {
  readonly element: Element;
  readonly expiresAt: number;
}

export class NamedAddresses {
  readonly #apply: (script: string) => Promise<void>;
  readonly #now: () => number;
  readonly #held = new Map<string, Map<string, Held>>();

  /** `apply` runs a script; `now` is a clock in milliseconds. */
  constructor(apply: (script: string) => Promise<void>, now: () => number = () => performance.now()) {
    this.#apply = apply;
    this.#now = now;
  }

  /** Whether all of an answer can be reached for about as long as it lives: most answers come again and again. */
  holds(vm: GuestAddresses, answer: NamedAnswer): boolean {
    return this.#missing(vm, answer).length === 0;
  }

  /** Resolves when the addresses can be reached. Errors: those of `apply`. */
  async allow(vm: GuestAddresses, answer: NamedAnswer): Promise<void> {
    const wanted = this.#missing(vm, answer).slice(0, MAX_PER_VM);
    if (wanted.length === 0) return;
    const expiresAt = this.#now() + timeoutOf(answer) * 1000;
    const held = this.#held.get(vm.address) ?? new Map<string, Held>();
    const surplus = this.#surplus(held, wanted);
    await this.#apply(deleteScript([...surplus, ...wanted]) + addScript(wanted));
    this.#held.set(vm.address, held);
    for (const element of surplus) held.delete(idOf(element));
    for (const element of wanted) held.set(idOf(element), { element, expiresAt });
  }

  /** The elements of a VM that may still be in the rules. */
  of(vmAddress: string): Element[] {
    return [...(this.#held.get(vmAddress)?.values() ?? [])].map(({ element }) => element);
  }

  /** After the elements of a VM were deleted. */
  forget(vmAddress: string): void {
    this.#held.delete(vmAddress);
  }

  #missing(vm: GuestAddresses, answer: NamedAnswer): Element[] {
    const timeoutS = timeoutOf(answer);
    const needed = this.#now() + timeoutS * 1000 - GRACE_S * 500;
    const held = this.#held.get(vm.address);
    return answer.rules
      .flatMap((rule) =>
        answer.addresses.flatMap((address) => namedElements(vm, { rule, address, timeoutS })),
      )
      .filter((element) => (held?.get(idOf(element))?.expiresAt ?? 0) < needed);
  }

  /** What has to leave the rules for these, the oldest first: what is not known here any more would outlive its policy. */
  #surplus(held: Map<string, Held>, wanted: readonly Element[]): Element[] {
    for (const [id, { expiresAt }] of held) if (expiresAt <= this.#now()) held.delete(id);
    const anew = new Set(wanted.map(idOf));
    const others = [...held].flatMap(([id, { element }]) => (anew.has(id) ? [] : [element]));
    return others.slice(0, Math.max(0, others.length + wanted.length - MAX_PER_VM));
  }
}

function timeoutOf({ ttlS }: NamedAnswer): number {
  return Math.min(ttlS, MAX_TTL_S) + GRACE_S;
}

function idOf({ set, key }: Element): string {
  return `${set} ${key}`;
}
