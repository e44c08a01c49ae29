/** `network check`: what would become of a packet, asked of the same rules and the same resolver as the packet would be. */
import { BangerError } from "../model/errors.ts";
import { formatIp, parseIp } from "../model/ip.ts";
import { decideTarget, type NetworkFacts } from "../model/network-decision.ts";
import type { NetworkPolicy } from "../model/network-policy.ts";
import { type Protocol, parseNetworkRule } from "../model/network-rule.ts";

export interface CheckedAddress {
  readonly address: string;
  readonly protocol: Protocol;
  readonly port: number | undefined;
  readonly verdict: "allow" | "deny";
  readonly rule: string;
}

export interface CheckResult {
  /** `allow` when at least one address of the target can be reached. */
  readonly verdict: "allow" | "deny";
  readonly rule: string;
  readonly addresses: readonly CheckedAddress[];
}

/** How a guest's question for a name ends: addresses, or why there are none. */
export type Lookup = (
  name: string,
) => Promise<{ readonly addresses: readonly string[] } | { readonly why: string }>;

/**
 * Checks `HOST:PORT[/PROTOCOL]` (TCP when none is said), or `HOST/icmp`. Errors: `invalid_argument`.
 */
export async function checkTarget(
  policy: NetworkPolicy,
  text: string,
  {
    facts,
    lookup,
    decide = decideTarget,
  }: { readonly facts: NetworkFacts; readonly lookup: Lookup; readonly decide?: typeof decideTarget },
): Promise<CheckResult> {
  const { host, port, protocol = "tcp" } = parseNetworkRule(text, "check");
  if (host.kind === "below" || (port === undefined && protocol !== "icmp")) throw notATarget(text);
  if (host.kind === "net" && host.net.bits !== (host.net.family === 4 ? 32 : 128)) throw notATarget(text);
  const name = host.kind === "name" ? host.name : undefined;
  const found =
    host.kind === "name"
      ? await lookup(host.name)
      : { addresses: [formatIp({ family: host.net.family, value: host.net.base })] };
  if ("why" in found) return { verdict: "deny", rule: found.why, addresses: [] };
  const addresses = found.addresses.flatMap((address): CheckedAddress[] => {
    const ip = parseIp(address);
    if (ip === undefined) return [];
    const decision = decide(policy, { address: ip, protocol, port, name }, facts);
    return [{ address, protocol, port, ...decision }];
  });
  const best = addresses.find(({ verdict }) => verdict === "allow") ?? addresses[0];
  return {
    verdict: best?.verdict ?? "deny",
    rule: best?.rule ?? "the name has no address that guests reach",
    addresses,
  };
}

function notATarget(text: string): BangerError {
  return new BangerError("invalid_argument", `${text} is not one host and one port`, {
    cure: "write HOST:PORT, such as github.com:443, 10.1.2.3:53/udp, or HOST/icmp",
    details: { field: "target" },
  });
}
