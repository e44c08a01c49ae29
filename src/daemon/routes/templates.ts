/** Routes of templates: decode, one call, encode. */
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeTemplates(router: Router, { templates }: Services): void {
  router.json("template.list", async () => ({ templates: templates.list() }));
  router.json("template.remove", async ({ param }) => await templates.remove(param("template")));
  router.json("template.prune", async () => ({ removed: await templates.prune() }));
}
