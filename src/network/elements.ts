/** A VM as elements of the sets and maps of the rules (ruleset.ts), and scripts that change elements in one transaction. */
import { createHash } from "node:crypto";
import { formatCidr } from "../model/ip.ts";
import type { NetworkPolicy } from "../model/network-policy.ts";
import { isPrivate, type NetworkRule, outermost } from "../model/network-rule.ts";
import { type RuleSet, type RuleShape, setName } from "./ruleset.ts";

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
  readonly mac: string;
  readonly policy: NetworkPolicy;
}

/** All that makes a VM with this tap reach what its policy says. */
export function vmElements(vm: NetworkVm, tap: string): Element[] {
  const mark = `0x${policyMark(vm).toString(16)}`;
  const { mode } = vm.policy;
  return [
    element("bridge banger ports", `"${tap}" . ${vm.mac} . ${vm.address}`, ` comment "${vm.id}"`),
    element("inet banger mark_of", vm.address, ` : ${mark}`),
    element("inet banger marks", `${vm.address} . ${mark}`),
    // A guest without a mode is refused everything.
    ...(mode === "none" ? [] : [element("inet banger modes", vm.address, ` : goto ${mode}`)]),
    ...(vm.policy.peers ? [element("inet banger peers", vm.address)] : []),
    ...networkElements(vm.address, vm.policy.deny, "denied"),
    ...networkElements(vm.address, vm.policy.allow.filter(isPrivate), "inside"),
    ...networkElements(
      vm.address,
      vm.policy.allow.filter((rule) => !isPrivate(rule)),
      "wide",
    ),
  ];
}

/** What makes an address reachable under a rule that allows its name, for `timeoutS` seconds. */
export function namedElements(
  vmAddress: string,
  {
    rule,
    address,
    timeoutS,
  }: { readonly rule: NetworkRule; readonly address: string; readonly timeoutS: number },
): Element[] {
  return byProtocol(rule).map((one) =>
    ruleElement(`${vmAddress} . ${address}`, one, { set: "named", rest: ` timeout ${timeoutS}s` }),
  );
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
function networkElements(vmAddress: string, rules: readonly NetworkRule[], set: RuleSet): Element[] {
  // A set of networks takes none inside another (`File exists`), and needs none.
  return outermost(rules.flatMap(byProtocol)).flatMap((rule) => {
    if (rule.host.kind !== "net" || rule.host.net.family !== 4) return [];
    return [ruleElement(`${vmAddress} . ${formatCidr(rule.host.net)}`, rule, { set, rest: "" })];
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
  { set, rest }: { readonly set: RuleSet; readonly rest: string },
): Element {
  const one = (shape: RuleShape, tail: string): Element =>
    element(`inet banger ${setName(set, shape)}`, `${key}${tail}`, rest);
  if (protocol === undefined) return one("any", "");
  return port === undefined ? one("protocol", ` . ${protocol}`) : one("port", ` . ${protocol} . ${port}`);
}

function element(set: string, key: string, rest = ""): Element {
  return { set, key, rest };
}
