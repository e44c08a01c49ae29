/** The IPv6 half of the namespace and of the host's end of its link. */
import { existsSync, writeFileSync } from "node:fs";
import { clashingRoute, type HostRoute, hostRoutes6 } from "./host-facts.ts";
import { BRIDGE, HOST_LINK, type NetworkPlan, type Plan6 } from "./names.ts";
import type { NetPrograms } from "./programs.ts";

/** Has the thread's namespace speak IPv6 as a router that nobody configures from outside, or not at all. ip-sysctl.rst of the kernel. */
export function setSysctls6(isWanted: boolean): void {
  if (!existsSync("/proc/sys/net/ipv6/conf/all")) return;
  const set = (name: string, value: number): void =>
    writeFileSync(`/proc/sys/net/ipv6/${name}`, String(value));
  for (const part of ["all", "default"]) {
    set(`conf/${part}/disable_ipv6`, isWanted ? 0 : 1);
    set(`conf/${part}/accept_ra`, 0);
    set(`conf/${part}/accept_redirects`, 0);
    // Its own addresses are nobody else's, and are needed at once.
    set(`conf/${part}/accept_dad`, 0);
  }
  if (!isWanted) return;
  set("conf/all/forwarding", 1);
  // As for IPv4: a refusal that is not told costs the guest a timeout.
  set("icmp/ratelimit", 0);
}

/** What gives the bridge its IPv6 address. */
export function bridgeLines6({ gateway, bits }: Plan6): string[] {
  return [`addr add ${gateway}/${bits} dev ${BRIDGE} nodad`];
}

/** Gives both ends of the link their addresses and the host its route to the pool; with a clash the host's own routes stay as they are. */
export async function linkHost6(plan: NetworkPlan, programs: NetPrograms): Promise<void> {
  const { ipv6, hostLink } = plan;
  if (ipv6 === undefined) return;
  await programs.ip(plan.netnsPath, [
    `addr add ${ipv6.inside} peer ${ipv6.hostSide}/128 dev ${HOST_LINK} nodad`,
  ]);
  await programs.ip(undefined, [
    `addr add ${ipv6.hostSide} peer ${ipv6.inside}/128 dev ${hostLink} nodad`,
    ...(hostLinkClash6(plan) === undefined
      ? [`route add ${ipv6.pool} via ${ipv6.inside} dev ${hostLink} onlink`]
      : []),
  ]);
}

/** The host's route that keeps the IPv6 pool from being reachable from the host. */
export function hostLinkClash6({ ipv6, hostLink }: NetworkPlan): HostRoute | undefined {
  return ipv6 === undefined ? undefined : clashingRoute(ipv6.pool, hostLink, hostRoutes6());
}

/** Before the host's end is up: the kernel adds link-local routes for it unless it is told not to, and routers inside would be believed. */
export function setHostLink6(device: string, isWanted: boolean): void {
  const set = (name: string, value: number): void =>
    writeFileSync(`/proc/sys/net/ipv6/conf/${device}/${name}`, String(value));
  if (!existsSync(`/proc/sys/net/ipv6/conf/${device}`)) return;
  set("disable_ipv6", isWanted ? 0 : 1);
  for (const name of ["accept_ra", "accept_redirects", "accept_dad"]) set(name, 0);
}
