/** Routes that look at VMs: decode, one call, encode. */
import { EventsQuerySchema } from "../../api/routes/vms.ts";
import { ConsoleSession } from "../console-session.ts";
import { decodeQuery } from "../decode.ts";
import { EventSession } from "../event-session.ts";
import { presentListeners } from "../present.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeLook(router: Router, { vms, events }: Services): void {
  router.json("stats", async () => ({ stats: await vms.stats() }));
  router.json("vm.ports", async ({ param }) => ({
    listeners: presentListeners(vms.find(param("vm")), await vms.ports(param("vm"))),
  }));
  router.text("vm.logs", async ({ param }) => await vms.logs(param("vm")));
  router.socket("vm.follow", ({ param }) => new ConsoleSession(vms.consolePath(param("vm"))));
  router.socket("events", ({ url }) => {
    const { after } = decodeQuery(url, EventsQuerySchema);
    return new EventSession(events, after === undefined ? undefined : Number(after));
  });
}
