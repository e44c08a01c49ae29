/** Routes of the network: decode, one call, encode. */
import { NetworkCheckSchema } from "../../api/schemas/network.ts";
import { networkVm } from "../../network/network-capability.ts";
import { reportNetwork } from "../../network/report.ts";
import { decodeBody } from "../decode.ts";
import { takeNetworkDown } from "../network-down.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeNetwork(router: Router, { network, vms }: Services): void {
  router.json("network.show", async () => await reportNetwork(network, vms.list()));
  router.json("network.down", async () => await takeNetworkDown({ network, vms }));
  router.json("network.check", async ({ param, request }) => {
    const { target } = await decodeBody(request, NetworkCheckSchema);
    return await network.check(networkVm(vms.find(param("vm"))), target);
  });
}
