/** The names of what banger makes in the kernel, and the plan of its addresses. One set per user and BANGER_HOME. */
import { createHash } from "node:crypto";
import { gatewayOf, prefixOf } from "../model/addresses.ts";
import { address6Of, gateway6Of } from "../model/addresses6.ts";

/** Names inside the namespace. */
export const BRIDGE = "br0";
export const HOST_LINK = "host0";
export const UPLINK = "uplink";
/** What a tap's name begins with. */
export const TAP_PREFIX = "tap";

/** The uplink's own addresses: seen by nobody but pasta and the namespace. */
export const UPLINK_ADDRESS = "169.254.2.2";
export const UPLINK_GATEWAY = "169.254.2.1";
export const UPLINK_BITS = 30;
/** In UPLINK_NET6. */
export const UPLINK_ADDRESS6 = "fd62:616e:6765:7200::2";
export const UPLINK_GATEWAY6 = "fd62:616e:6765:7200::1";

/** Where ip-netns(8) keeps namespaces. */
const NETNS_DIR = "/run/netns";

export interface NetworkPlan {
  /** Of the namespace. */
  readonly name: string;
  /** Leads to it; its arguments tell whose a process is. */
  readonly netnsPath: string;
  /** The host's end of the link into the namespace. */
  readonly hostLink: string;
  /** The link's own addresses, a network of four in the link-local range. */
  readonly hostSide: string;
  readonly inside: string;
  readonly linkBits: number;
  readonly pool: string;
  readonly gateway: string;
  readonly poolBits: number;
  /** Undefined: guests have no IPv6. */
  readonly ipv6: Plan6 | undefined;
}

/** The IPv6 half of a plan. */
export interface Plan6 {
  readonly pool: string;
  readonly bits: number;
  readonly gateway: string;
  /** The addresses of the link to the host, in the pool. */
  readonly hostSide: string;
  readonly inside: string;
}

/** The plan for a state directory; `uid` and directory make the names. */
export function createPlan(options: {
  readonly uid: number;
  readonly stateDir: string;
  readonly pool: string;
  readonly pool6?: string | undefined;
  /** Default: where ip-netns(8) keeps those of root. */
  readonly netnsPath?: string | undefined;
}): NetworkPlan {
  const hash = createHash("sha256").update(`${options.uid}:${options.stateDir}`).digest();
  const name = `banger-${hash.toString("hex", 0, 4)}`;
  // 169.254.64.0 to 169.254.127.255: clear of the uplink's and of the metadata services' 169.254.169.254.
  const third = 64 + ((hash[4] ?? 0) & 63);
  const fourth = (hash[5] ?? 0) & 252;
  const link = {
    hostSide: `169.254.${third}.${fourth + 1}`,
    inside: `169.254.${third}.${fourth + 2}`,
  };
  return {
    name,
    netnsPath: options.netnsPath ?? `${NETNS_DIR}/${name}`,
    hostLink: `bng${hash.toString("hex", 0, 4)}`,
    ...link,
    linkBits: 30,
    pool: options.pool,
    gateway: gatewayOf(options.pool),
    poolBits: prefixOf(options.pool),
    ipv6: options.pool6 === undefined ? undefined : plan6(options.pool6, link),
  };
}

/** The same plan with another IPv6 half. */
export function withPool6(plan: NetworkPlan, pool6: string | undefined): NetworkPlan {
  return { ...plan, ipv6: pool6 === undefined ? undefined : plan6(pool6, plan) };
}

function plan6(pool: string, { hostSide, inside }: Pick<NetworkPlan, "hostSide" | "inside">): Plan6 {
  return {
    pool,
    bits: prefixOf(pool),
    gateway: gateway6Of(pool),
    hostSide: address6Of(pool, hostSide) ?? "",
    inside: address6Of(pool, inside) ?? "",
  };
}
