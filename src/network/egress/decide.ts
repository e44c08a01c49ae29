/** What becomes of a connection that goes out over the agent's channel: the policy, and what this way cannot carry. */
import { formatIp } from "../../model/ip.ts";
import {
  decideTarget,
  type NetworkDecision,
  type NetworkFacts,
  type NetworkTarget,
} from "../../model/network-decision.ts";
import type { NetworkPolicy } from "../../model/network-policy.ts";

/** `names`: those by which the guest asked for the address. */
export function decideEgress(
  policy: NetworkPolicy,
  target: NetworkTarget,
  { facts, names = [] }: { readonly facts: NetworkFacts; readonly names?: readonly string[] },
): NetworkDecision {
  const { address, protocol, port } = target;
  const isResolver = address.value === facts.gateway.value && address.family === 4 && port === 53;
  if (protocol !== "tcp" && !(isResolver && protocol === "udp")) {
    return { verdict: "deny", rule: "only TCP and names go over the agent's channel" };
  }
  // Guests have no link between them here, and no IPv6.
  const alone: NetworkFacts = { ...facts, ipv6: undefined, peerAt: () => undefined };
  const plain = decideTarget(policy, target, alone);
  if (plain.verdict === "allow") return plain;
  const named = names
    .map((name) => decideTarget(policy, { ...target, name }, alone))
    .find(({ verdict }) => verdict === "allow");
  return named ?? plain;
}

/** For a person. */
export function targetText({ address, port }: NetworkTarget): string {
  return `${formatIp(address)}${port === undefined ? "" : `:${port}`}`;
}
