/** The socket that carries a stream to files or connections of a guest. */
import { GuestStreamSession } from "../guest-stream-session.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeGuestStreams(router: Router, services: Services): void {
  router.socket("vm.stream", ({ param }, report) => {
    return new GuestStreamSession(services, { vm: param("vm"), report });
  });
}
