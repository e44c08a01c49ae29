/** Routes of the SSH door: decode, one call, encode. */
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeSsh(router: Router, { vms, sshKeys }: Services): void {
  router.json("ssh.keys", async () => await sshKeys.ensure());
  router.json("vm.sshDoor", async ({ param }) => await sshKeys.open(vms.running(param("vm"))));
}
