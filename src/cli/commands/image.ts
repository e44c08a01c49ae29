/** `image`: the root file systems that VMs are made from. */
import { resolve } from "node:path";
import type { Command } from "commander";
import { validateImageName } from "../../model/names.ts";
import { formatBytes, formatDurationMs } from "../../model/quantities.ts";
import type { CliContext } from "../context.ts";
import { forEachRef } from "../refs.ts";
import { renderTable } from "../render/table.ts";
import { type LongFlags, runLong } from "./long.ts";

export function defineImage(program: Command, ctx: CliContext): void {
  const image = program
    .command("image")
    .summary("the root file systems that VMs are made from")
    .summary("the root file systems that VMs are made from")
    .description("The root file systems that VMs are made from.");
  image
    .command("ls")
    .alias("list")
    .description("list images")
    .option("-q, --names", "only names")
    .option("--json", "as JSON")
    .action(async ({ names = false, json = false }: { names?: boolean; json?: boolean }) => {
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
    });
  image
    .command("pull")
    .description("fetch or build an image of the catalog, also when it is there already")
    .argument("<name>", "such as debian")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (name: string, flags: LongFlags) => {
      validateImageName(name);
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const result = await client.pullImage(name, options);
        return { result, line: `${result.name} ${result.digest}` };
      });
    });
  image
    .command("import")
    .description("make an image of a root file system tar")
    .argument("<name>", "the image's name")
    .argument("<tar>", "a tar file, plain or compressed with gzip, xz or zstd")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (name: string, tar: string, flags: LongFlags) => {
      validateImageName(name);
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const result = await client.importImage({ name, path: resolve(tar) }, options);
        return { result, line: `${result.name} ${result.digest}` };
      });
    });
  image
    .command("rm")
    .description("forget images; content that nothing else uses is deleted")
    .argument("<name...>")
    .action(async (names: string[]) => {
      const client = await ctx.client();
      await forEachRef(ctx, names, async (name) => (await client.removeImage(validateImageName(name))).name);
    });
}
