/** The sockets that carry a command: `exec` in a VM that runs, and `run` in one made for it. */
import { ExecRequestSchema } from "../../api/schemas/exec.ts";
import { decodeBody } from "../decode.ts";
import { ExecSession } from "../exec-session.ts";
import { presentExec } from "../present.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeExec(router: Router, services: Services): void {
  const { vms } = services;
  router.socket("vm.exec", ({ param }, report) => new ExecSession(services, { vm: param("vm"), report }));
  router.json("vm.execs", async ({ param }) => ({ execs: (await vms.execs(param("vm"))).map(presentExec) }));
  router.json("vm.execDetached", async ({ param, request }) => {
    return await vms.execDetached(param("vm"), await decodeBody(request, ExecRequestSchema));
  });
  router.socket("run", (_, report) => new ExecSession(services, { vm: undefined, report }));
}
