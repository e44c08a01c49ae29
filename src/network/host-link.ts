/** The link between host and namespace, which only root can make. */
import { overlap, parseCidr } from "../model/ip.ts";
import { clashingRoute, type HostRoute, hostRoutes } from "./host-facts.ts";
import { HOST_LINK, type NetworkPlan } from "./names.ts";
import { linkHost6, setHostLink6 } from "./namespace6.ts";
import type { NetPrograms } from "./programs.ts";

/**
 * Joins host and namespace: the host gets the link, its addresses and the route to the pool over it, which all end with the namespace.
 * With a clash the link gets no route: the host's own stay as they are. Errors: `internal`, `unavailable`.
 */
export async function linkHost(plan: NetworkPlan, programs: NetPrograms): Promise<void> {
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

/** The host's route that keeps the pool from being reachable from the host; undefined when all is well. */
export function hostLinkClash(plan: NetworkPlan): HostRoute | undefined {
  return clashingRoute(plan.pool, plan.hostLink, hostRoutes());
}

/**
 * Whether the host's packets for the pool take the link, and it alone. A link that was made beside a clash has no route, also when the
 * clash has gone: they would leave by the default route, to whoever has such an address out there.
 */
export function isHostRouted({ pool, hostLink }: NetworkPlan): boolean {
  const routes = hostRoutes();
  const net = parseCidr(pool);
  if (net === undefined || clashingRoute(pool, hostLink, routes) !== undefined) return false;
  return routes.some((route) => route.device === hostLink && overlap(net, route.net));
}
