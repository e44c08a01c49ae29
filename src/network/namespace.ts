/** The namespace that all VMs of a user share: made whole or not at all, found again, and removed. */
import { z } from "zod";
import { macFromAddress } from "../model/addresses.ts";
import type { Ground } from "./ground.ts";
import { BRIDGE, type NetworkPlan, TAP_PREFIX } from "./names.ts";
import { bridgeLines6 } from "./namespace6.ts";

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
export async function findNamespace(plan: NetworkPlan, ground: Ground): Promise<FoundNamespace | undefined> {
  if ((await ground.find()) !== "namespace") return undefined;
  const links = LinksSchema.parse(await ground.inside.programs.ipJson(plan.netnsPath, ["link", "show"]));
  const [ready, pool6] = links.find(({ ifname }) => ifname === BRIDGE)?.ifalias?.split(" ") ?? [];
  if (ready !== READY) return undefined;
  return { taps: links.map(({ ifname }) => ifname).filter((name) => name.startsWith(TAP_PREFIX)), pool6 };
}

/**
 * Makes the namespace anew: bridge, link to the host where there is one, and `ruleset` before anything can pass. Errors: `internal`,
 * `unavailable`; what was made is removed.
 */
export async function createNamespace(
  plan: NetworkPlan,
  ground: Ground,
  { ruleset, onStep }: { readonly ruleset: string; readonly onStep: (step: string) => void },
): Promise<void> {
  const { inside } = ground;
  const { programs } = inside;
  await ground.remove();
  await using undo = new AsyncDisposableStack();
  undo.defer(() => ground.remove());
  await ground.create();
  onStep("network:namespace");
  await inside.setSysctls(plan.ipv6 !== undefined);
  await programs.nft(plan.netnsPath, ruleset);
  await programs.ip(plan.netnsPath, [
    "link set lo up",
    // Without a MAC of its own it takes the lowest of its taps', and guests lose their gateway when a tap comes or goes.
    `link add ${BRIDGE} address ${macFromAddress(plan.gateway)} type bridge stp_state 0 mcast_snooping 0`,
    `addr add ${plan.gateway}/${plan.poolBits} dev ${BRIDGE}`,
    ...(plan.ipv6 === undefined ? [] : bridgeLines6(plan.ipv6)),
    `link set ${BRIDGE} up`,
  ]);
  await ground.linkHost(plan);
  onStep("network:ready");
  const alias = plan.ipv6 === undefined ? READY : `"${READY} ${plan.ipv6.pool}"`;
  await programs.ip(plan.netnsPath, [`link set ${BRIDGE} alias ${alias}`]);
  undo.move();
}
