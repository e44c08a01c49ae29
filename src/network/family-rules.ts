/**
 * The rules for packets of one family: sets and maps that VMs are elements of, and the chains that ask them. Those of IPv4 and
 * IPv6 differ in words alone, so that both families ask the same questions in the same order.
 */
import { LINK_LOCAL, PRIVATE, type Range, UNROUTABLE } from "../model/address-ranges.ts";
import { type Family, formatCidr } from "../model/ip.ts";
import { BRIDGE } from "./names.ts";

/** Refused packets are told of on this nflog group. */
export const BLOCKED_GROUP = 98;
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
export type RuleSet = "inside" | "wide" | "named" | "denied";

/** What nft(8) calls things of a family. `suffix`: of the names of its sets and chains. */
export const FAMILY_WORDS: Readonly<Record<Family, FamilyWords>> = {
  4: { suffix: "", ip: "ip", type: "ipv4_addr", icmp: "icmp" },
  6: { suffix: "6", ip: "ip6", type: "ipv6_addr", icmp: "ipv6-icmp" },
};

interface FamilyWords {
  readonly suffix: "" | "6";
  readonly ip: string;
  readonly type: string;
  readonly icmp: string;
}

/** The name of the set that holds rules of a kind and shape. */
export function setName(set: RuleSet, shape: RuleShape, family: Family): string {
  return `${set}${FAMILY_WORDS[family].suffix}_${shape}`;
}

/** Sets, maps and chains of a family; `guests` (with the suffix) is where its forwarded packets go. */
export function familyRules(
  family: Family,
  { hostAddresses, plan }: { readonly hostAddresses: readonly string[]; readonly plan?: string },
): string {
  const { suffix: f, ip, type, icmp } = FAMILY_WORDS[family];
  const match = (set: RuleSet, shape: RuleShape): string =>
    `${ip} saddr . ${ip} daddr${RULE_SHAPES[shape]} @${setName(set, shape, family)}`;
  const rules = (sets: readonly RuleSet[], verdict: string): string =>
    SHAPES.flatMap((shape) => sets.map((set) => `    ${match(set, shape)} ${verdict}`)).join("\n");
  const flow = `${ip} saddr . ${ip} daddr . meta l4proto . th dport`;
  return `  map modes${f} { type ${type} : verdict; }
  map mark_of${f} { type ${type} : mark; }
  set marks${f} { type ${type} . mark; }
  set peers${f} { type ${type}; }
  set host${f} { type ${type}; ${elements(hostAddresses)} }
${rangeSet("unroutable", UNROUTABLE, family)}
${rangeSet("link_local", LINK_LOCAL, family)}
${rangeSet("private", PRIVATE, family)}
${SHAPES.map((shape) => ruleSets(shape, family)).join("\n")}
  set told${f} { typeof ${flow}; flags dynamic, timeout; timeout ${TOLD_TIMEOUT}; size 16384; }
  chain guests${f} {
    iifname ${BRIDGE} oifname ${BRIDGE} ${ip} saddr @peers${f} ${ip} daddr @peers${f} accept
    iifname ${BRIDGE} oifname ${BRIDGE} goto refuse${f}
${plan === undefined ? "" : `    iifname ${BRIDGE} ${ip} daddr ${plan} goto refuse${f}\n`}\
    oifname ${BRIDGE} ct direction reply ct state established,related ${ip} daddr . ct mark @marks${f} accept
    iifname != ${BRIDGE} drop
    ct state established ${ip} saddr . ct mark @marks${f} accept
    meta l4proto != { tcp, udp, ${icmp} } goto refuse${f}
    ${ip} daddr @unroutable${f} goto refuse${f}
    ${ip} saddr vmap @modes${f}
    goto refuse${f}
  }
  chain full${f} {
    jump denied${f}
    goto pass${f}
  }
  chain public${f} {
    jump denied${f}
    ${ip} daddr @host${f} goto refuse${f}
    ${ip} daddr @link_local${f} goto refuse${f}
    ${ip} daddr @private${f} goto refuse${f}
    goto pass${f}
  }
  chain allow${f} {
    jump denied${f}
    ${ip} daddr @host${f} goto refuse${f}
    ${ip} daddr @link_local${f} goto refuse${f}
    ${ip} daddr @private${f} goto allow_private${f}
${rules(["wide", "named"], `goto pass${f}`)}
    goto refuse${f}
  }
  chain allow_private${f} {
${rules(["inside"], `goto pass${f}`)}
    goto refuse${f}
  }
  chain denied${f} {
${rules(["denied"], `goto refuse${f}`)}
  }
  chain pass${f} {
    ct mark set ${ip} saddr map @mark_of${f} accept
  }
  chain refuse${f} {
    counter name refused
    ${flow} != @told${f} limit rate ${TOLD_PER_SECOND}/second add @told${f} { ${flow} } log group ${BLOCKED_GROUP} snaplen 64
    meta l4proto tcp reject with tcp reset
    reject with icmpx type admin-prohibited
  }
`;
}

function ruleSets(shape: RuleShape, family: Family): string {
  const { ip } = FAMILY_WORDS[family];
  const key = `typeof ${ip} saddr . ${ip} daddr${RULE_SHAPES[shape]}`;
  const networks = (["inside", "wide", "denied"] as const).map(
    (set) => `  set ${setName(set, shape, family)} { ${key}; flags interval; }`,
  );
  return [
    ...networks,
    `  set ${setName("named", shape, family)} { ${key}; flags timeout; size ${MAX_NAMED}; }`,
  ].join("\n");
}

function rangeSet(name: string, list: readonly Range[], family: Family): string {
  const { suffix, type } = FAMILY_WORDS[family];
  const nets = list.filter(({ net }) => net.family === family).map(({ net }) => formatCidr(net));
  return `  set ${name}${suffix} { type ${type}; flags interval; auto-merge; ${elements(nets)} }`;
}

function elements(list: readonly string[]): string {
  return list.length === 0 ? "" : `elements = { ${list.join(", ")} };`;
}
