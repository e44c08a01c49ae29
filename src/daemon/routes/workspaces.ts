/** Routes of workspaces: decode, one call, encode. */
import {
  ExportWorkspaceQuerySchema,
  ImportWorkspaceSchema,
  PullWorkspaceSchema,
  SyncWorkspaceSchema,
} from "../../api/schemas/workspaces.ts";
import type { Workspace } from "../../api/types/workspaces.ts";
import type { WorkspaceRecord } from "../../model/workspace.ts";
import { planBootstrap } from "../../workspaces/bootstrap/plan-bootstrap.ts";
import { decodeBody, decodeQuery } from "../decode.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeWorkspaces(router: Router, { vms, workspaces }: Services): void {
  router.json("workspace.preview", async ({ request }) => {
    return await workspaces.preview(await decodeBody(request, ImportWorkspaceSchema), request.signal);
  });
  router.json("workspace.bootstrap", async ({ request }) => {
    return await planBootstrap(await decodeBody(request, ImportWorkspaceSchema), request.signal);
  });
  router.progress("workspace.import", async ({ param, request }) => {
    const vm = vms.find(param("vm"));
    const wish = await decodeBody(request, ImportWorkspaceSchema);
    return async (options) => {
      await using prepared = await workspaces.prepare(wish, options.signal);
      return present(await workspaces.arrive(vm, prepared, options));
    };
  });
  router.progress("workspace.pull", async ({ param, request }) => {
    const vm = vms.find(param("vm"));
    const wish = await decodeBody(request, PullWorkspaceSchema);
    return async (options) => await workspaces.pull(vm, wish, options);
  });
  router.progress("workspace.sync", async ({ param, request }) => {
    const vm = vms.find(param("vm"));
    const wish = await decodeBody(request, SyncWorkspaceSchema);
    return async (options) => {
      const { record, ...done } = await workspaces.sync(vm, wish, options);
      return { ...done, workspace: present(record) };
    };
  });
  router.json("workspace.show", async ({ param }) => present(workspaces.demand(vms.find(param("vm")))));
  const patch = "text/x-patch";
  router.bytes(
    "workspace.export",
    async ({ url, request, param }) => {
      const query = decodeQuery(url, ExportWorkspaceQuerySchema);
      return await workspaces.export(vms.find(param("vm")), { ...query, signal: request.signal });
    },
    patch,
  );
}

function present(record: WorkspaceRecord): Workspace {
  const { vm, hostPath, guestPath, head, branch, readonly, sentAt, submodules = [] } = record;
  const nameOf = (ref: string | undefined): string | undefined => ref?.replace("refs/heads/", "");
  return {
    vm,
    hostPath,
    guestPath,
    head,
    branch: nameOf(branch),
    readonly,
    sentAt,
    submodules: submodules.map((its) => ({ path: its.path, head: its.head, branch: nameOf(its.branch) })),
  };
}
