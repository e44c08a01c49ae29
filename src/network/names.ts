/** The names of what banger makes in the kernel, and the plan of its addresses. One set per user and BANGER_HOME. */
import { createHash } from "node:crypto";
import { gatewayOf, prefixOf } from "../model/addresses.ts";

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

/** Where ip-netns(8) keeps namespaces. */
const NETNS_DIR = "/run/netns";

export interface NetworkPlan {
  /** Of the namespace. */
  readonly name: string;
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
}

/** The plan for a state directory; `uid` and directory make the names. */
export function createPlan(options: {
  readonly uid: number;
  readonly stateDir: string;
  readonly pool: string;
}): NetworkPlan {
  const hash = createHash("sha256").update(`${options.uid}:${options.stateDir}`).digest();
  const name = `banger-${hash.toString("hex", 0, 4)}`;
  // 169.254.64.0 to 169.254.127.255: clear of the uplink's and of the metadata services' 169.254.169.254.
  const third = 64 + ((hash[4] ?? 0) & 63);
  const fourth = (hash[5] ?? 0) & 252;
  return {
    name,
    netnsPath: `${NETNS_DIR}/${name}`,
    hostLink: `bng${hash.toString("hex", 0, 4)}`,
    hostSide: `169.254.${third}.${fourth + 1}`,
    inside: `169.254.${third}.${fourth + 2}`,
    linkBits: 30,
    pool: options.pool,
    gateway: gatewayOf(options.pool),
    poolBits: prefixOf(options.pool),
  };
}
