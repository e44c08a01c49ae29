/** Routes of snapshots and forks: decode, one call, encode. */
import { CreateSnapshotSchema, ForkVmSchema, RestoreVmSchema } from "../../api/schemas/snapshots.ts";
import { decodeBody } from "../decode.ts";
import { presentVm } from "../present.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeSnapshots(router: Router, { vms, snapshots }: Services): void {
  router.json("snapshot.list", async () => ({ snapshots: snapshots.list() }));
  router.json("snapshot.show", async ({ param }) => snapshots.find(param("snapshot")));
  router.json("snapshot.remove", async ({ param }) => await snapshots.remove(param("snapshot")));
  router.progress("snapshot.create", async ({ param, request }) => {
    const wish = await decodeBody(request, CreateSnapshotSchema);
    return async (options) => await snapshots.create(param("vm"), wish, options);
  });
  router.progress("vm.restore", async ({ param, request }) => {
    const { snapshot } = await decodeBody(request, RestoreVmSchema);
    return async (options) => presentVm(vms, await snapshots.restore(param("vm"), snapshot, options));
  });
  router.progress("vm.fork", async ({ param, request }) => {
    const { count = 1, prefix } = await decodeBody(request, ForkVmSchema);
    return async (options) => {
      const forks = await snapshots.fork(param("vm"), { count, prefix }, options);
      return { ...forks, vms: forks.vms.map((vm) => presentVm(vms, vm)) };
    };
  });
}
