/** `template`: the saved machines that warm starts go on from. */
import type { Command } from "commander";
import { formatBytes, formatDurationMs } from "../../model/quantities.ts";
import type { CliContext } from "../context.ts";
import { forEachRef } from "../refs.ts";
import { renderTable } from "../render/table.ts";

export function defineTemplate(program: Command, ctx: CliContext): void {
  const template = program
    .command("template")
    .summary("what warm starts go on from")
    .description(
      "Machines that booted an image and were saved, so that the next VM of the same image, vCPUs and memory need not boot; and machines in which the setup of a work tree has run. banger makes them by itself.",
    );
  template
    .command("ls")
    .alias("list")
    .description(
      "list templates, the one used last first; READY: clones of it that wait in the warm pool (see warm_pool in the configuration); SETUP OF: the work tree whose setup has run in it",
    )
    .option("-q, --quiet", "only ids")
    .option("--json", "as JSON")
    .action(async ({ quiet = false, json = false }: { quiet?: boolean; json?: boolean }) => {
      const templates = await (await ctx.client()).listTemplates();
      const now = Date.now();
      if (json) ctx.printJson(templates);
      else if (!quiet) {
        const rows = templates.map((one) => [
          one.id,
          one.image,
          String(one.vcpus),
          formatBytes(one.memoryMib * 2 ** 20),
          formatBytes(one.diskMib * 2 ** 20),
          formatBytes(one.sizeBytes),
          String(one.pooled),
          `${formatDurationMs(Math.max(0, now - one.usedAt))} ago`,
          one.workspace ?? "-",
        ]);
        ctx.print(
          renderTable(["ID", "IMAGE", "VCPUS", "MEMORY", "DISK", "SIZE", "READY", "USED", "SETUP OF"], rows),
        );
      } else if (templates.length > 0) ctx.print(templates.map((one) => one.id).join("\n"));
    });
  template
    .command("rm")
    .description("remove templates; VMs that go on from them live on")
    .argument("<id...>")
    .action(async (ids: string[]) => {
      const client = await ctx.client();
      await forEachRef(ctx, ids, async (id) => (await client.removeTemplate(id)).id);
    });
  template
    .command("prune")
    .description("remove all templates; each is made anew when it is missed")
    .action(async () => {
      const removed = await (await ctx.client()).pruneTemplates();
      ctx.say(removed === 1 ? "1 template was removed" : `${removed} templates were removed`);
    });
}
