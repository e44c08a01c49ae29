/** Routes of VMs: decode, one call, encode. */
import { CreateQuerySchema, RemoveQuerySchema, StartQuerySchema } from "../../api/routes/vms.ts";
import { CreateVmSchema, KillVmSchema, SetVmSchema, StopVmSchema } from "../../api/schemas/vms.ts";
import { decodeBody, decodeQuery } from "../decode.ts";
import { presentShownVm, presentVm } from "../present.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeVms(router: Router, { vms, published, networkWay, network }: Services): void {
  router.json("vm.list", async () => ({ vms: vms.list().map((vm) => presentVm(vms, vm)) }));
  router.json("vm.show", async ({ param }) =>
    presentShownVm({ vms, published, networkWay, network }, vms.find(param("vm"))),
  );
  router.progress("vm.create", async ({ request, url }) => {
    const query = decodeQuery(url, CreateQuerySchema);
    const wanted = await decodeBody(request, CreateVmSchema);
    return async (options) => {
      const [starts, cold] = [query.start !== "false", query.cold === "true"];
      const created = await vms.create(wanted, { ...options, starts: starts && !cold });
      if (!starts) return presentVm(vms, created);
      return presentVm(vms, await vms.start(created.id, { ...options, cold }));
    };
  });
  router.progress("vm.start", async ({ param, url }) => {
    const cold = decodeQuery(url, StartQuerySchema).cold === "true";
    return async (options) => presentVm(vms, await vms.start(param("vm"), { ...options, cold }));
  });
  router.progress("vm.stop", async ({ param, request }) => {
    const { timeoutMs } = await decodeBody(request, StopVmSchema);
    return async (options) => presentVm(vms, await vms.stop(param("vm"), { ...options, timeoutMs }));
  });
  router.progress("vm.restart", async ({ param, request }) => {
    const { timeoutMs } = await decodeBody(request, StopVmSchema);
    return async (options) => presentVm(vms, await vms.restart(param("vm"), { ...options, timeoutMs }));
  });
  router.progress("vm.kill", async ({ param, request }) => {
    const { signal: how = "KILL" } = await decodeBody(request, KillVmSchema);
    return async (options) => presentVm(vms, await vms.kill(param("vm"), { ...options, how }));
  });
  router.progress("vm.wait", async ({ param }) => async ({ signal }) => {
    return presentVm(vms, await vms.wait(param("vm"), signal));
  });
  router.json("vm.pause", async ({ param }) => presentVm(vms, await vms.pause(param("vm"))));
  router.json("vm.resume", async ({ param }) => presentVm(vms, await vms.resume(param("vm"))));
  router.json("vm.set", async ({ param, request }) => {
    return presentVm(vms, await vms.set(param("vm"), await decodeBody(request, SetVmSchema)));
  });
  router.json("vm.remove", async ({ param, url }) => {
    const { force } = decodeQuery(url, RemoveQuerySchema);
    return presentVm(vms, await vms.remove(param("vm"), { force: force === "true" }));
  });
}
