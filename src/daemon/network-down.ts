/** Taking the network down by hand. */
import type { NetworkDown } from "../api/types/network.ts";
import { BangerError } from "../model/errors.ts";
import type { Services } from "./services.ts";

/**
 * Removes the namespace, and the clones of the warm pool that are in it: they are nobody's, and are made anew when they are wanted. May
 * be repeated. Errors: `failed_precondition` while VMs are in it.
 */
export async function takeNetworkDown({
  network,
  vms,
}: Pick<Services, "network" | "vms">): Promise<NetworkDown> {
  const names = vms
    .list()
    .filter(({ id }) => network.network.attachment(id) !== undefined)
    .map(({ name }) => name);
  if (names.length > 0) {
    throw new BangerError("failed_precondition", `the network is used by ${names.join(", ")}`, {
      cure: `stop them first with: banger stop ${names.join(" ")}`,
      details: { vms: names },
    });
  }
  await vms.pool.settled();
  await vms.pool.drain();
  const removed = network.network.up;
  // Also where there is none: what is left of one goes.
  await network.network.down();
  return { removed };
}
