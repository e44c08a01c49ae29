/** The pools of a plan against what the host has itself. */
import { BangerError } from "../model/errors.ts";
import { type Cidr, type Ip, parseCidr, parseIp } from "../model/ip.ts";
import { type HostRoute, hasIpv6 } from "./host-facts.ts";
import { hostLinkClash } from "./host-link.ts";
import type { NetworkPlan } from "./names.ts";
import { hostLinkClash6 } from "./namespace6.ts";

/** What of the host overlaps the pool, for a person. */
export function poolClash(plan: NetworkPlan): string | undefined {
  return clashText(hostLinkClash(plan));
}

/** The same of the IPv6 pool. */
export function pool6Clash(plan: NetworkPlan): string | undefined {
  return clashText(hostLinkClash6(plan));
}

/** Refuses a chosen pool that the host uses itself; an IPv6 pool always is. Errors: `failed_precondition`. */
export function checkPools(plan: NetworkPlan, isChosen: boolean): void {
  if (isChosen) refuseClash(plan.pool, poolClash(plan), "network.address_pool");
  if (plan.ipv6 !== undefined) refuseClash(plan.ipv6.pool, pool6Clash(plan), "network.pool6");
}

/** Why guests have no IPv6, or another pool, although the configuration says `wanted`. */
export function pool6Problem(plan: NetworkPlan, wanted: string | undefined): string | undefined {
  if (wanted !== undefined && !hasIpv6()) return "this host's kernel has no IPv6";
  if (wanted === plan.ipv6?.pool) return undefined;
  return `network.pool6 is ${wanted ?? "off"} by now, which holds when all VMs have been stopped`;
}

/** A pool and its gateway as numbers; both were validated with the configuration. */
export function placeOf({ pool, gateway }: { readonly pool: string; readonly gateway: string }): {
  readonly pool: Cidr;
  readonly gateway: Ip;
} {
  const [net, ip] = [parseCidr(pool), parseIp(gateway)];
  if (net === undefined || ip === undefined) throw new Error(`the address pool ${pool} is none`);
  return { pool: net, gateway: ip };
}

function clashText(route: HostRoute | undefined): string | undefined {
  return route === undefined ? undefined : `the host's route over ${route.device}`;
}

function refuseClash(pool: string, clash: string | undefined, key: string): void {
  if (clash === undefined) return;
  throw new BangerError("failed_precondition", `the address pool ${pool} overlaps ${clash}`, {
    cure: `choose another one with ${key} in config.toml`,
    details: { pool },
  });
}
