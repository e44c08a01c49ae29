/** Routes of templates: decode, one call, encode. */
import type { Template } from "../../api/types/templates.ts";
import type { SavedTemplate } from "../../model/template.ts";
import type { Router } from "../router.ts";
import type { Services } from "../services.ts";

export function routeTemplates(router: Router, { templates: { shelf }, vms }: Services): void {
  const present = (template: SavedTemplate): Template => ({
    ...template,
    pooled: vms.pool.countOf(template.id),
  });
  router.json("template.list", async () => ({ templates: shelf.list().map(present) }));
  router.json("template.remove", async ({ param }) => present(await shelf.remove(param("template"))));
  router.json("template.prune", async () => ({ removed: await shelf.prune() }));
}
