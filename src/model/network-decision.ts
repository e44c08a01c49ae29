/**
 * What becomes of a packet, as a pure function: the same order of questions that the rules in the kernel ask
 * (network/ruleset.ts). `network check` answers with it, and a test compares the two packet by packet.
 */
import { LINK_LOCAL, PRIVATE, rangeOf, UNROUTABLE } from "./address-ranges.ts";
import { type Cidr, contains, formatIp, type Ip } from "./ip.ts";
import type { NetworkPolicy } from "./network-policy.ts";
import { coversName, coversPort, type NetworkRule, type Protocol } from "./network-rule.ts";

export interface NetworkTarget {
  readonly address: Ip;
  readonly protocol: Protocol;
  /** Undefined for ICMP. */
  readonly port: number | undefined;
  /** The name by which the guest asked for the address, lower case. */
  readonly name?: string | undefined;
}

export interface NetworkFacts {
  /** The host's own addresses. */
  readonly hostAddresses: readonly Ip[];
  readonly pool: Cidr;
  /** The address in the pool at which banger's resolver answers. */
  readonly gateway: Ip;
  /** The same of the IPv6 plan; undefined: guests have no IPv6. */
  readonly ipv6?: { readonly pool: Cidr; readonly gateway: Ip } | undefined;
  /** Whether the guest of that address wants peers; undefined when there is none. */
  readonly peerAt: (address: string) => boolean | undefined;
}

export interface NetworkDecision {
  readonly verdict: "allow" | "deny";
  /** What decided, for a person. */
  readonly rule: string;
}

export function decideTarget(
  policy: NetworkPolicy,
  target: NetworkTarget,
  facts: NetworkFacts,
): NetworkDecision {
  return (
    decideNear(policy, target, facts) ??
    {
      none: () => deny("mode none"),
      full: () => decideDenied(policy, target) ?? allow("mode full"),
      public: () => decideDenied(policy, target) ?? decideRanges(target, facts) ?? allow("mode public"),
      allow: () => decideDenied(policy, target) ?? decideAllowed(policy, target, facts),
    }[policy.mode]()
  );
}

/** What is the same in every mode: the gateway, the other guests, and what no packet reaches. */
function decideNear(
  policy: NetworkPolicy,
  { address, protocol, port }: NetworkTarget,
  facts: NetworkFacts,
): NetworkDecision | undefined {
  const place = address.family === 4 ? facts : facts.ipv6;
  if (place === undefined) return deny("guests have no IPv6");
  const { pool, gateway } = place;
  if (address.value === gateway.value) {
    if (protocol === "icmp") return allow("gateway");
    if (address.family === 6) return deny("gateway: its resolver answers over IPv4");
    return port === 53 ? allow("banger's resolver") : deny("gateway: only its resolver answers");
  }
  if (contains(pool, address)) {
    const peer = facts.peerAt(formatIp(address));
    if (peer === undefined) return deny("address pool: no such guest");
    return policy.peers && peer
      ? allow("--network-peers of both")
      : deny("other guests need --network-peers of both");
  }
  const range = rangeOf(UNROUTABLE, address);
  return range === undefined ? undefined : deny(range.what);
}

function decideDenied(policy: NetworkPolicy, target: NetworkTarget): NetworkDecision | undefined {
  const rule = policy.deny.find((one) => covers(one, target));
  return rule === undefined ? undefined : deny(`--deny ${rule.text}`);
}

function decideRanges({ address }: NetworkTarget, facts: NetworkFacts): NetworkDecision | undefined {
  return decideHost(address, facts) ?? denyRange(rangeOf(PRIVATE, address)?.what);
}

function decideHost(address: Ip, { hostAddresses }: NetworkFacts): NetworkDecision | undefined {
  if (hostAddresses.some((own) => own.family === address.family && own.value === address.value)) {
    return deny("the host's own address");
  }
  return denyRange(rangeOf(LINK_LOCAL, address)?.what);
}

function decideAllowed(policy: NetworkPolicy, target: NetworkTarget, facts: NetworkFacts): NetworkDecision {
  const near = decideHost(target.address, facts);
  if (near !== undefined) return near;
  const range = rangeOf(PRIVATE, target.address);
  const rules = policy.allow.filter((one) => covers(one, target));
  // A network opens a private range only when it lies inside it: 0.0.0.0/0 means the internet, and a name means nothing private.
  const rule = rules.find((one) => range === undefined || isInside(one, range.net));
  if (rule !== undefined) return allow(`--allow ${rule.text}`);
  return denyRange(range?.what) ?? deny("mode allow: no rule allows it");
}

/** Whether a rule names a network inside `net`. */
function isInside({ host }: NetworkRule, net: Cidr): boolean {
  return host.kind === "net" && contains(net, host.net);
}

function covers(rule: NetworkRule, { address, protocol, port, name }: NetworkTarget): boolean {
  if (!coversPort(rule, protocol, port)) return false;
  if (rule.host.kind === "net") return contains(rule.host.net, address);
  return name !== undefined && coversName(rule, name);
}

function denyRange(what: string | undefined): NetworkDecision | undefined {
  return what === undefined ? undefined : deny(`${what} addresses`);
}

function allow(rule: string): NetworkDecision {
  return { verdict: "allow", rule };
}

function deny(rule: string): NetworkDecision {
  return { verdict: "deny", rule };
}
