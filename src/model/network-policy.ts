/** What a VM may reach: its mode with the rules that go with it. */
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";
import {
  isPrivate,
  type NetworkRule,
  outermost,
  parseNetworkRule,
  type RuleUse,
  subsumes,
} from "./network-rule.ts";

export const NETWORK_MODES = ["none", "public", "allow", "full"] as const;
export type NetworkMode = (typeof NETWORK_MODES)[number];

/** So many rules of each kind are taken. */
export const MAX_NETWORK_RULES = 256;

/** The network part of a spec, as it is stored and sent. */
export interface NetworkSpec {
  readonly mode: NetworkMode;
  /** In mode `allow`: what may be reached, in the form of `--allow`. */
  readonly allow: readonly string[];
  /** What may not be reached in any mode. */
  readonly deny: readonly string[];
  /** Whether it talks with the other guests that say so, too. */
  readonly peers: boolean;
}

/** The default: the internet, and nothing near. */
export const PUBLIC_NETWORK: NetworkSpec = { mode: "public", allow: [], deny: [], peers: false };

/** Nothing at all. */
export const NO_NETWORK: NetworkSpec = { mode: "none", allow: [], deny: [], peers: false };

/** What a caller may say of a network; the rest stays as it was. */
export interface NetworkWish {
  readonly mode?: NetworkMode | undefined;
  /** `HOST[:PORT][/PROTOCOL]` each; replaces the list. */
  readonly allow?: readonly string[] | undefined;
  /** As `allow`: what is refused in every mode. */
  readonly deny?: readonly string[] | undefined;
  /** Whether it talks with other guests that say so, too. */
  readonly peers?: boolean | undefined;
}

/** A network spec with its rules parsed. */
export interface NetworkPolicy {
  readonly mode: NetworkMode;
  readonly allow: readonly NetworkRule[];
  readonly deny: readonly NetworkRule[];
  readonly peers: boolean;
}

/**
 * Applies a wish: a list replaces the list, `allow` alone means mode `allow`, and another mode forgets the allow list. Errors:
 * `invalid_argument`.
 */
export function applyNetworkWish(before: NetworkSpec, wish: NetworkWish): NetworkSpec {
  const mode = wish.mode ?? (wish.allow === undefined ? before.mode : "allow");
  if (wish.allow !== undefined && wish.allow.length > 0 && mode !== "allow") {
    throw new BangerError("invalid_argument", `--allow says nothing in the mode ${mode}`, {
      cure: "use it with: --network allow",
      details: { field: "allow" },
    });
  }
  const allow = mode === "allow" ? (wish.allow ?? before.allow) : [];
  if (mode === "allow" && allow.length === 0) {
    throw new BangerError("invalid_argument", "--network allow needs something that is allowed", {
      cure: "name it, such as: --allow github.com:443; or use --network none",
      details: { field: "allow" },
    });
  }
  return normalise({ mode, allow, deny: wish.deny ?? before.deny, peers: wish.peers ?? before.peers });
}

/** Parses the rules of a spec. Errors: `invalid_argument`. */
export function parseNetworkPolicy(spec: NetworkSpec): NetworkPolicy {
  return {
    mode: spec.mode,
    allow: spec.allow.map((text) => parseNetworkRule(text, "allow")),
    deny: spec.deny.map((text) => parseNetworkRule(text, "deny")),
    peers: spec.peers,
  };
}

/** Errors: `invalid_argument`. */
export function parseNetworkMode(text: string): NetworkMode {
  const mode = NETWORK_MODES.find((one) => one === text);
  if (mode !== undefined) return mode;
  throw new BangerError("invalid_argument", `the network mode ${quote(text)} is not known`, {
    cure: `use one of ${NETWORK_MODES.join(", ")}`,
    details: { field: "network" },
  });
}

/** Rules in their written form, without those that a wider one holds already. */
function normalise(spec: NetworkSpec): NetworkSpec {
  const policy = parseNetworkPolicy(spec);
  return { ...spec, allow: widest(policy.allow, "allow"), deny: widest(policy.deny, "deny") };
}

function widest(rules: readonly NetworkRule[], use: RuleUse): string[] {
  if (rules.length > MAX_NETWORK_RULES) {
    throw new BangerError("invalid_argument", `${rules.length} rules are more than ${MAX_NETWORK_RULES}`, {
      cure: "use wider networks or *.domain",
      details: { field: use },
    });
  }
  const kept = outermost(rules, (outer, inner) => holds(outer, inner, use));
  return [...new Set(kept.map((rule) => rule.text))];
}

/** Whether `inner` says nothing that `outer` does not say. Of what is allowed, only a network inside a private range opens that. */
function holds(outer: NetworkRule, inner: NetworkRule, use: RuleUse): boolean {
  return subsumes(outer, inner) && (use === "deny" || isPrivate(outer) === isPrivate(inner));
}
