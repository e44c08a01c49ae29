/** The namespace that all VMs of a user share: made whole or not at all, found again, and removed. */
import { existsSync, writeFileSync } from "node:fs";
import { z } from "zod";
import { inNetns } from "../lib/netns.ts";
import { macFromAddress } from "../model/addresses.ts";
import { clashingRoute, type HostRoute, hostRoutes, listDevices } from "./host-facts.ts";
import { BRIDGE, HOST_LINK, type NetworkPlan, TAP_PREFIX } from "./names.ts";
import { bridgeLines6, linkHost6, setHostLink6, setSysctls6 } from "./namespace6.ts";
import type { NetPrograms } from "./programs.ts";

/** On the bridge, written last: a namespace without it was not finished. Raised when the layout changes. Behind it, the IPv6 pool. */
const READY = "banger-ready-1";

const LinksSchema: z.ZodType<{ ifname: string; ifalias?: string | undefined }[]> = z.array(
  z.object({ ifname: z.string(), ifalias: z.string().optional() }),
);

/** What was found in a namespace. */
export interface FoundNamespace {
  readonly taps: readonly string[];
  /** What it was made with. */
  readonly pool6: string | undefined;
}

/** The finished namespace of this plan; undefined when there is none. Errors: `internal`, `unavailable`. */
export async function findNamespace(
  plan: NetworkPlan,
  programs: NetPrograms,
): Promise<FoundNamespace | undefined> {
  if (!existsSync(plan.netnsPath)) return undefined;
  const links = LinksSchema.parse(await programs.ipJson(plan.netnsPath, ["link", "show"]));
  const [ready, pool6] = links.find(({ ifname }) => ifname === BRIDGE)?.ifalias?.split(" ") ?? [];
  if (ready !== READY) return undefined;
  return { taps: links.map(({ ifname }) => ifname).filter((name) => name.startsWith(TAP_PREFIX)), pool6 };
}

/**
 * Makes the namespace anew: bridge, link to the host, and `ruleset` before anything can pass. The host gets the link, its
 * addresses and the route to the pool over it, which all end with the namespace. Errors: `internal`, `unavailable`; what was made is removed.
 */
export async function createNamespace(
  plan: NetworkPlan,
  programs: NetPrograms,
  ruleset: string,
): Promise<void> {
  await removeNamespace(plan, programs);
  await using undo = new AsyncDisposableStack();
  undo.defer(() => removeNamespace(plan, programs));
  await programs.ip(undefined, [`netns add ${plan.name}`]);
  inNetns(plan.netnsPath, () => setSysctls(plan));
  await programs.nft(plan.netnsPath, ruleset);
  await programs.ip(plan.netnsPath, [
    "link set lo up",
    // Without a MAC of its own it takes the lowest of its taps', and guests lose their gateway when a tap comes or goes.
    `link add ${BRIDGE} address ${macFromAddress(plan.gateway)} type bridge stp_state 0 mcast_snooping 0`,
    `addr add ${plan.gateway}/${plan.poolBits} dev ${BRIDGE}`,
    ...(plan.ipv6 === undefined ? [] : bridgeLines6(plan.ipv6)),
    `link set ${BRIDGE} up`,
  ]);
  await linkHost(plan, programs);
  const alias = plan.ipv6 === undefined ? READY : `"${READY} ${plan.ipv6.pool}"`;
  await programs.ip(plan.netnsPath, [`link set ${BRIDGE} alias ${alias}`]);
  undo.move();
}

/** Removes the namespace and the host's end of the link. Safe to repeat and with nothing there. Errors: `internal`. */
export async function removeNamespace(plan: NetworkPlan, programs: NetPrograms): Promise<void> {
  programs.release(plan.netnsPath);
  const lines = [
    ...(listDevices().has(plan.hostLink) ? [`link del ${plan.hostLink}`] : []),
    ...(existsSync(plan.netnsPath) ? [`netns del ${plan.name}`] : []),
  ];
  await programs.ip(undefined, lines);
}

/** The host's route that keeps the pool from being reachable from the host; undefined when all is well. */
export function hostLinkClash(plan: NetworkPlan): HostRoute | undefined {
  return clashingRoute(plan.pool, plan.hostLink, hostRoutes());
}

/** Joins host and namespace. With a clash the link gets no route: the host's own stay as they are. */
async function linkHost(plan: NetworkPlan, programs: NetPrograms): Promise<void> {
  await programs.ip(undefined, [
    `link add ${plan.hostLink} type veth peer name ${HOST_LINK} netns ${plan.name}`,
  ]);
  setHostLink6(plan.hostLink, plan.ipv6 !== undefined);
  await programs.ip(plan.netnsPath, [
    `addr add ${plan.inside}/${plan.linkBits} dev ${HOST_LINK}`,
    `link set ${HOST_LINK} up`,
  ]);
  const route = `route add ${plan.pool} via ${plan.inside} dev ${plan.hostLink}`;
  await programs.ip(undefined, [
    `addr add ${plan.hostSide}/${plan.linkBits} dev ${plan.hostLink}`,
    `link set ${plan.hostLink} up`,
    ...(hostLinkClash(plan) === undefined ? [route] : []),
  ]);
  await linkHost6(plan, programs);
}

/** Kernel's Documentation/networking/ip-sysctl.rst. /proc/sys/net shows the namespace of the thread that opens it. */
function setSysctls({ ipv6 }: NetworkPlan): void {
  const set = (name: string, value: number): void => writeFileSync(`/proc/sys/net/${name}`, String(value));
  setSysctls6(ipv6 !== undefined);
  set("ipv4/ip_forward", 1);
  // A refusal that is not told costs the guest a timeout; guests are behind one bridge and flood nobody else with it.
  set("ipv4/icmp_ratelimit", 0);
  // Guests of one bridge reach each other over the gateway alone, which must not tell them a shorter way.
  set("ipv4/conf/all/send_redirects", 0);
  set("ipv4/conf/default/send_redirects", 0);
  // Where br_netfilter is loaded, bridged packets would meet the rules for routed ones.
  if (existsSync("/proc/sys/net/bridge/bridge-nf-call-iptables")) set("bridge/bridge-nf-call-iptables", 0);
}
