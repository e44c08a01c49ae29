/** Routes of the daemon and its host. */
import { createOpenApi } from "../../api/openapi.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeHost(router: Router, services: Services): void {
  router.json("daemon.status", async () => services.status());
  router.json("daemon.stop", async () => {
    services.requestStop();
    return {};
  });
  router.json("doctor", async () => await services.doctor());
  router.json("config", async () => services.config());
  router.text("metrics", async () => await services.metrics.text());
  router.json("openapi", async () => createOpenApi(services.version));
}
