/** `image`: the root file systems that VMs are made from. */
import type { Command } from "commander";
import { validateImageName } from "../../model/image-reference.ts";
import { formatBytes, formatDurationMs } from "../../model/quantities.ts";
import type { CliContext } from "../context.ts";
import { forEachRef } from "../refs.ts";
import { renderTable } from "../render/table.ts";
import { defineImageExport, defineImageImport } from "./image-archives.ts";
import { defineImageCare } from "./image-care.ts";
import { type LongFlags, runLong } from "./long.ts";

interface ListFlags {
  readonly names?: boolean;
  readonly json?: boolean;
  readonly available?: boolean;
}

export function defineImage(program: Command, ctx: CliContext): void {
  const image = program
    .command("image")
    .summary("the root file systems that VMs are made from")
    .description("The root file systems that VMs are made from.");
  image
    .command("ls")
    .alias("list")
    .description("list images")
    .option("-q, --names", "only names")
    .option("--available", "what can be made by name: the catalog")
    .option("--json", "as JSON")
    .action(async ({ names = false, json = false, available = false }: ListFlags) => {
      if (available) return await listCatalog(ctx, { names, json });
      const images = await (await ctx.client()).listImages();
      const now = Date.now();
      if (json) ctx.printJson(images);
      else if (!names) {
        const rows = images.map((one) => [
          one.name,
          one.digest.slice(0, 12),
          formatBytes(one.sizeBytes),
          `${formatDurationMs(Math.max(0, now - one.createdAt))} ago`,
          one.source,
        ]);
        ctx.print(renderTable(["NAME", "DIGEST", "SIZE", "CREATED", "SOURCE"], rows));
      } else if (images.length > 0) ctx.print(images.map((one) => one.name).join("\n"));
      return undefined;
    });
  image
    .command("pull")
    .description("fetch an image from a registry, or build one of the catalog, also when it is there already")
    .argument("<name>", "such as debian, or ghcr.io/some/thing:tag")
    .option("--platform <platform>", "os/architecture of the build to take; it must run here")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .addHelpText(
      "after",
      "\nExamples:\n  banger image pull debian\n  banger image pull ghcr.io/some/thing:1.2\n  banger image pull docker.io/library/debian",
    )
    .action(async (name: string, { platform, ...flags }: LongFlags & { platform?: string }) => {
      validateImageName(name);
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const result = await client.pullImage({ name, platform }, options);
        return { result, line: `${result.name} ${result.digest}` };
      });
    });
  defineImageImport(image, ctx);
  defineImageExport(image, ctx);
  defineImageCare(image, ctx);
  image
    .command("rm")
    .description("forget images; content that nothing else uses is deleted")
    .argument("<name...>")
    .action(async (names: string[]) => {
      const client = await ctx.client();
      await forEachRef(ctx, names, async (name) => (await client.removeImage(validateImageName(name))).name);
    });
}

async function listCatalog(
  ctx: CliContext,
  { names, json }: { readonly names: boolean; readonly json: boolean },
): Promise<void> {
  const entries = await (await ctx.client()).catalog();
  if (json) ctx.printJson(entries);
  else if (names) ctx.print(entries.map((one) => one.name).join("\n"));
  else {
    const rows = entries.map((one) => [one.name, one.here ? "yes" : "no", one.description]);
    ctx.print(renderTable(["NAME", "HERE", "DESCRIPTION"], rows));
  }
}
