/** A VM as elements of the sets and maps of the rules (ruleset.ts), and scripts that change elements in one transaction. */
import { createHash } from "node:crypto";
import { linkLocalOf } from "../model/addresses6.ts";
import { type Family, formatCidr, formatIp, parseIp } from "../model/ip.ts";
import type { NetworkPolicy } from "../model/network-policy.ts";
import { isPrivate, type NetworkRule, outermost } from "../model/network-rule.ts";
import { FAMILY_WORDS, type RuleSet, type RuleShape, setName } from "./family-rules.ts";

export interface Element {
  /** Family, table and name of the set or map. */
  readonly set: string;
  readonly key: string;
  /** What follows the key: a map's value, a comment, a timeout. */
  readonly rest: string;
}

/** What the rules must know of a VM. */
export interface NetworkVm {
  readonly id: string;
  /** IPv4. */
  readonly address: string;
  /** Of a VM that is on a network with IPv6. */
  readonly address6?: string | undefined;
  readonly mac: string;
  readonly policy: NetworkPolicy;
}

/** What packets of a VM come from. */
export type GuestAddresses = Pick<NetworkVm, "address" | "address6">;

/** All that makes a VM with this tap reach what its policy says. */
export function vmElements(vm: NetworkVm, tap: string): Element[] {
  return [
    element("bridge banger ports", `"${tap}" . ${vm.mac} . ${vm.address}`, ` comment "${vm.id}"`),
    ...policyElements(vm, vm.address, 4),
    ...(vm.address6 === undefined
      ? []
      : [...neighbourElements(vm, tap, vm.address6), ...policyElements(vm, vm.address6, 6)]),
  ];
}

function policyElements(vm: NetworkVm, address: string, family: Family): Element[] {
  const { suffix } = FAMILY_WORDS[family];
  const mark = `0x${policyMark(vm).toString(16)}`;
  const { mode, peers, deny, allow } = vm.policy;
  return [
    element(`inet banger mark_of${suffix}`, address, ` : ${mark}`),
    element(`inet banger marks${suffix}`, `${address} . ${mark}`),
    // A guest without a mode is refused everything.
    ...(mode === "none" ? [] : [element(`inet banger modes${suffix}`, address, ` : goto ${mode}${suffix}`)]),
    ...(peers ? [element(`inet banger peers${suffix}`, address)] : []),
    ...networkElements(address, deny, { set: "denied", family }),
    ...networkElements(address, allow.filter(isPrivate), { set: "inside", family }),
    ...networkElements(
      address,
      allow.filter((rule) => !isPrivate(rule)),
      { set: "wide", family },
    ),
  ];
}

/** What the guest may send, and say of itself, at its tap (neighbour-rules.ts). */
function neighbourElements({ mac }: NetworkVm, tap: string, address6: string): Element[] {
  const own = [address6, linkLocalOf(mac)];
  return [
    element("bridge banger ports6", `"${tap}" . ${mac} . ${address6}`),
    ...own.map((address) => element("bridge banger neighbours", `"${tap}" . ${mac} . ${address}`)),
    // Sets of raw bytes take numbers.
    element("bridge banger neighbour_links", `"${tap}" . 0x${mac.replaceAll(":", "")}`),
    ...own.map((address) => element("bridge banger neighbour_targets", `"${tap}" . ${hexOf(address)}`)),
  ];
}

function hexOf(address: string): string {
  return `0x${parseIp(address)?.value.toString(16).padStart(32, "0")}`;
}

/** What makes an address reachable under a rule that allows its name, for `timeoutS` seconds. */
export function namedElements(
  vm: GuestAddresses,
  {
    rule,
    address,
    timeoutS,
  }: { readonly rule: NetworkRule; readonly address: string; readonly timeoutS: number },
): Element[] {
  const ip = parseIp(address);
  const source = ip?.family === 6 ? vm.address6 : vm.address;
  if (ip === undefined || source === undefined) return [];
  const how = { set: "named", rest: ` timeout ${timeoutS}s`, family: ip.family } as const;
  return byProtocol(rule).map((one) => ruleElement(`${source} . ${formatIp(ip)}`, one, how));
}

/** Adds elements, which may be there. */
export function addScript(elements: readonly Element[]): string {
  return elements.map(({ set, key, rest }) => `add element ${set} { ${key}${rest} }\n`).join("");
}

/** Deletes elements, which may have timed out: adding them first keeps the transaction from failing. */
export function deleteScript(elements: readonly Element[]): string {
  return elements
    .map(({ set, key, rest }) => `add element ${set} { ${key}${rest} }\ndelete element ${set} { ${key} }\n`)
    .join("");
}

/** Goes from one list to the other. */
export function changeScript(before: readonly Element[], after: readonly Element[]): string {
  const id = ({ set, key, rest }: Element): string => `${set} ${key}${rest}`;
  const [old, wanted] = [new Set(before.map(id)), new Set(after.map(id))];
  return (
    deleteScript(before.filter((one) => !wanted.has(id(one)))) +
    addScript(after.filter((one) => !old.has(id(one))))
  );
}

/**
 * Marks the connections that this policy let through; the same after a restart of the daemon. 2 to 2^31 - 1: 1 is the host's, 0
 * is none.
 */
export function policyMark({ id, policy }: Pick<NetworkVm, "id" | "policy">): number {
  const rules = {
    ...policy,
    allow: policy.allow.map((rule) => rule.text),
    deny: policy.deny.map((rule) => rule.text),
  };
  const hash = createHash("sha256")
    .update(`${id} ${JSON.stringify(rules)}`)
    .digest();
  return (hash.readUInt32BE(0) & 0x7fff_fffd) | 2;
}

/** Rules about names have no elements of their own: the resolver acts on them. */
function networkElements(
  source: string,
  rules: readonly NetworkRule[],
  { set, family }: { readonly set: RuleSet; readonly family: Family },
): Element[] {
  // A set of networks takes none inside another (`File exists`), and needs none.
  return outermost(rules.flatMap(byProtocol)).flatMap((rule) => {
    if (rule.host.kind !== "net" || rule.host.net.family !== family) return [];
    return [ruleElement(`${source} . ${formatCidr(rule.host.net)}`, rule, { set, rest: "", family })];
  });
}

/** A port is one of a protocol. */
function byProtocol(rule: NetworkRule): NetworkRule[] {
  if (rule.port === undefined || rule.protocol !== undefined) return [rule];
  return (["tcp", "udp"] as const).map((protocol) => ({ ...rule, protocol }));
}

function ruleElement(
  key: string,
  { protocol, port }: NetworkRule,
  { set, rest, family }: { readonly set: RuleSet; readonly rest: string; readonly family: Family },
): Element {
  const one = (shape: RuleShape, tail: string): Element =>
    element(`inet banger ${setName(set, shape, family)}`, `${key}${tail}`, rest);
  if (protocol === undefined) return one("any", "");
  if (port !== undefined) return one("port", ` . ${protocol} . ${port}`);
  return one("protocol", ` . ${protocol === "icmp" ? FAMILY_WORDS[family].icmp : protocol}`);
}

function element(set: string, key: string, rest = ""): Element {
  return { set, key, rest };
}
