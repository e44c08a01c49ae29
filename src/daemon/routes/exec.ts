/** The sockets that carry a command: `exec` in a VM that runs, and `run` in one made for it. */
import { ExecSession } from "../exec-session.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeExec(router: Router, services: Services): void {
  router.socket("vm.exec", ({ param }) => new ExecSession(services.vms, { vm: param("vm") }));
  router.socket("run", () => new ExecSession(services.vms, { vm: undefined }));
}
