/** What a question is answered with: names of guests by ourselves, others by the host's servers, as far as the guest's policy goes. */
import { PRIVATE, rangeOf } from "../../model/address-ranges.ts";
import { contains, parseIp } from "../../model/ip.ts";
import { decideTarget, type NetworkFacts } from "../../model/network-decision.ts";
import type { NetworkPolicy } from "../../model/network-policy.ts";
import { coversName, type NetworkRule } from "../../model/network-rule.ts";
import type { NamedAnswer } from "../named-addresses.ts";
import {
  createAnswer,
  createRefusal,
  type Found,
  parseQuery,
  type Query,
  RCODES,
  readAnswer,
} from "./message.ts";
import type { Ask } from "./upstream.ts";

/** The domain of guests. */
export const ZONE = "vm";
/** How long a guest's address may be kept: it changes only with the VM itself. */
const ZONE_TTL_S = 5;

/** Who asks. */
export interface Asker {
  readonly policy: NetworkPolicy;
  /** Whether IPv6 addresses are of use to it. */
  readonly isIpv6: boolean;
  /** Lets the guest reach what it is about to be told; resolves when it holds. */
  allow(answer: NamedAnswer): Promise<void>;
  /** Hears of an answer that the guest did not get. */
  refused(name: string, why: string): void;
}

export interface ResolverOptions {
  readonly ask: Ask;
  /** The address of a guest by its name. */
  readonly addressOf: (name: string) => string | undefined;
  /** The IPv6 address of a guest that has one. */
  readonly address6Of: (name: string) => string | undefined;
  readonly facts: () => NetworkFacts;
}

/** Answers a message; undefined when it deserves none. `asker` undefined: only names of guests are answered. */
export type Resolve = (
  bytes: Uint8Array,
  asker: Asker | undefined,
  transport: "udp" | "tcp",
) => Promise<Uint8Array | undefined>;

export function createResolver({ ask, facts, ...zone }: ResolverOptions): Resolve {
  return async (bytes, asker, transport) => {
    const query = parseQuery(bytes);
    if (query === undefined) return undefined;
    if (typeof query === "number") return createRefusal(bytes, query);
    const local = answerZone(query, zone);
    if (local !== undefined) return local;
    if (asker === undefined || mayNotAsk(asker.policy, query.name))
      return createAnswer(query, RCODES.refused);
    // To a guest without IPv6 an address of that family would only cost a failed connection.
    if (query.type === "AAAA" && !asker.isIpv6) return createAnswer(query, RCODES.ok);
    const answer = await ask(bytes, query, transport);
    const found = answer === undefined ? undefined : readAnswer(answer, query);
    if (answer === undefined || found === undefined) return createAnswer(query, RCODES.failed);
    const denied = deniedAddress(asker, found, facts());
    if (denied !== undefined) {
      asker.refused(query.name, denied);
      return createAnswer(query, RCODES.refused);
    }
    const rules = asker.policy.mode === "allow" ? rulesFor(asker.policy, query.name) : [];
    if (rules.length > 0 && found.addresses.length > 0) await asker.allow({ rules, ...found });
    return answer;
  };
}

/** Whether the very question is refused: a name can carry out what no packet may. */
export function mayNotAsk(policy: NetworkPolicy, name: string): boolean {
  switch (policy.mode) {
    case "none":
      return true;
    case "allow":
      return isDenied(policy, name) || (rulesFor(policy, name).length === 0 && !policy.allow.some(isNetwork));
    case "public":
    case "full":
      return isDenied(policy, name);
  }
}

function answerZone(
  query: Query,
  { addressOf, address6Of }: Pick<ResolverOptions, "addressOf" | "address6Of">,
): Uint8Array | undefined {
  if (query.name !== ZONE && !query.name.endsWith(`.${ZONE}`)) return undefined;
  const name = query.name.slice(0, -ZONE.length - 1);
  const address = name.includes(".") ? undefined : addressOf(name);
  if (address === undefined) return createAnswer(query, query.name === ZONE ? RCODES.ok : RCODES.noName);
  const address6 = address6Of(name);
  const base = { name: query.name, ttl: ZONE_TTL_S };
  const records = [
    { type: "A" as const, ...base, data: address },
    ...(address6 === undefined ? [] : [{ type: "AAAA" as const, ...base, data: address6 }]),
  ];
  const asked = records.filter(({ type }) => query.type === "ANY" || query.type === type);
  return createAnswer(query, RCODES.ok, asked);
}

/** Why an answer is kept from a guest: it points at what the policy denies by its range, however the name came by it. */
function deniedAddress({ policy, isIpv6 }: Asker, found: Found, facts: NetworkFacts): string | undefined {
  if (policy.mode === "full") return undefined;
  for (const text of found.addresses) {
    const address = parseIp(text);
    if (address === undefined) return "an address that is none";
    // Nothing of that family leaves such a guest.
    if (address.family === 6 && !isIpv6) continue;
    const range = rangeOf(PRIVATE, address);
    if (range !== undefined && policy.allow.some((rule) => opens(rule, range.net, address))) continue;
    const everything = { mode: "public", allow: [], deny: [], peers: false } as const;
    const { verdict, rule } = decideTarget(everything, { address, protocol: "tcp", port: undefined }, facts);
    if (verdict === "deny") return `${text}: ${rule}`;
  }
  return undefined;
}

function opens(
  { host }: NetworkRule,
  range: Parameters<typeof contains>[0],
  address: Parameters<typeof contains>[1],
): boolean {
  return host.kind === "net" && contains(range, host.net) && contains(host.net, address);
}

function rulesFor(policy: NetworkPolicy, name: string): NetworkRule[] {
  return policy.allow.filter((rule) => coversName(rule, name));
}

function isDenied(policy: NetworkPolicy, name: string): boolean {
  return policy.deny.some((rule) => coversName(rule, name));
}

function isNetwork({ host }: NetworkRule): boolean {
  return host.kind === "net";
}
