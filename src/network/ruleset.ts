/**
 * The rules of the namespace: two nftables tables (nft(8)) whose chains never change. What is particular to a VM are elements of
 * sets and maps, so that a packet costs the same with two VMs and with two hundred. model/network-decision.ts asks the same
 * questions in the same order.
 *
 * A connection keeps the mark of the policy that let it through; a VM whose policy changed has another mark, and its
 * connections are judged anew with their next packet.
 */
import { LINK_LOCAL, PRIVATE, type Range, UNROUTABLE } from "../model/address-ranges.ts";
import { formatCidr } from "../model/ip.ts";
import { BRIDGE, HOST_LINK, UPLINK } from "./names.ts";

/** Refused packets are told of on this nflog group. */
export const BLOCKED_GROUP = 98;
/** Connections from the host to guests carry this mark; policies' marks are larger. */
const HOST_MARK = "0x1";
/** A flow that is refused again within this time is not told of again. */
const TOLD_TIMEOUT = "30s";
const TOLD_PER_SECOND = 20;
/** So many names' addresses are known at once, over all VMs. */
const MAX_NAMED = 65_536;

/** Ways to write a rule: which fields an element has behind the guest's address and the target. */
export const RULE_SHAPES = {
  any: "",
  protocol: " . meta l4proto",
  port: " . meta l4proto . th dport",
} as const;
export type RuleShape = keyof typeof RULE_SHAPES;
const SHAPES: readonly RuleShape[] = ["any", "protocol", "port"];

/** `inside`: networks within a private range; `wide`: other networks; `named`: what the resolver answered. */
export const ALLOW_SETS = ["inside", "wide", "named"] as const;
export type RuleSet = (typeof ALLOW_SETS)[number] | "denied";

/** A script that replaces both tables, whatever was there, in one transaction. */
export function createRuleset(hostAddresses: readonly string[]): string {
  return `table inet banger
delete table inet banger
table bridge banger
delete table bridge banger
table bridge banger {
  set ports { type ifname . ether_addr . ipv4_addr; }
  chain prerouting {
    type filter hook prerouting priority -300; policy drop;
    ether type ip iifname . ether saddr . ip saddr @ports accept
    ether type arp arp htype 1 arp ptype ip iifname . ether saddr . arp saddr ip @ports jump arp_sender
  }
  chain arp_sender {
    iifname . arp saddr ether . arp saddr ip @ports accept
  }
  chain forward { type filter hook forward priority 0; policy drop; }
}
table inet banger {
  map modes { type ipv4_addr : verdict; }
  map mark_of { type ipv4_addr : mark; }
  set marks { type ipv4_addr . mark; }
  set peers { type ipv4_addr; }
  set host { type ipv4_addr; ${elements(hostAddresses)} }
${range("unroutable", UNROUTABLE)}
${range("link_local", LINK_LOCAL)}
${range("private", PRIVATE)}
${SHAPES.map((shape) => ruleSets(shape)).join("\n")}
  set told { typeof ip saddr . ip daddr . meta l4proto . th dport; flags dynamic, timeout; timeout ${TOLD_TIMEOUT}; size 16384; }
  counter refused { }
  chain input {
    type filter hook input priority 0; policy drop;
    iif lo accept
    ct state established,related accept
    iifname ${BRIDGE} meta l4proto { tcp, udp } th dport 53 accept
    iifname { ${BRIDGE}, ${HOST_LINK} } icmp type echo-request accept
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
    meta nfproto != ipv4 drop
    iifname ${HOST_LINK} oifname ${BRIDGE} ct mark set ${HOST_MARK} accept
    iifname ${BRIDGE} ct direction reply ct state established,related ct mark ${HOST_MARK} accept
    iifname ${BRIDGE} oifname ${BRIDGE} ip saddr @peers ip daddr @peers accept
    iifname ${BRIDGE} oifname ${BRIDGE} goto refuse
    oifname ${BRIDGE} ct direction reply ct state established,related ip daddr . ct mark @marks accept
    iifname != ${BRIDGE} drop
    ct state established ip saddr . ct mark @marks accept
    meta l4proto != { tcp, udp, icmp } goto refuse
    ip daddr @unroutable goto refuse
    ip saddr vmap @modes
    goto refuse
  }
  chain full {
    jump denied
    goto pass
  }
  chain public {
    jump denied
    ip daddr @host goto refuse
    ip daddr @link_local goto refuse
    ip daddr @private goto refuse
    goto pass
  }
  chain allow {
    jump denied
    ip daddr @host goto refuse
    ip daddr @link_local goto refuse
    ip daddr @private goto allow_private
${SHAPES.map((shape) => `    ${match("wide", shape)} goto pass\n    ${match("named", shape)} goto pass`).join("\n")}
    goto refuse
  }
  chain allow_private {
${SHAPES.map((shape) => `    ${match("inside", shape)} goto pass`).join("\n")}
    goto refuse
  }
  chain denied {
${SHAPES.map((shape) => `    ${match("denied", shape)} goto refuse`).join("\n")}
  }
  chain pass {
    ct mark set ip saddr map @mark_of accept
  }
  chain refuse {
    counter name refused
    ip saddr . ip daddr . meta l4proto . th dport != @told limit rate ${TOLD_PER_SECOND}/second add @told { ip saddr . ip daddr . meta l4proto . th dport } log group ${BLOCKED_GROUP} snaplen 64
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname ${UPLINK} masquerade
    iifname ${HOST_LINK} oifname ${BRIDGE} masquerade
  }
}
`;
}

/** The name of the set that holds rules of a kind and shape. */
export function setName(set: RuleSet, shape: RuleShape): string {
  return `${set}_${shape}`;
}

function ruleSets(shape: RuleShape): string {
  const key = `typeof ip saddr . ip daddr${RULE_SHAPES[shape]}`;
  const networks = (["inside", "wide", "denied"] as const).map(
    (set) => `  set ${setName(set, shape)} { ${key}; flags interval; }`,
  );
  const named = `  set ${setName("named", shape)} { ${key}; flags timeout; size ${MAX_NAMED}; }`;
  return [...networks, named].join("\n");
}

function match(set: RuleSet, shape: RuleShape): string {
  return `ip saddr . ip daddr${RULE_SHAPES[shape]} @${setName(set, shape)}`;
}

function range(name: string, list: readonly Range[]): string {
  const nets = list.filter(({ net }) => net.family === 4).map(({ net }) => formatCidr(net));
  return `  set ${name} { type ipv4_addr; flags interval; ${elements(nets)} }`;
}

function elements(list: readonly string[]): string {
  return list.length === 0 ? "" : `elements = { ${list.join(", ")} };`;
}
