/** `image show`, `tag`, `commit`, `prune` and `verify`: what images are, what they are called, what they cost, and whether they are whole. */
import type { Command } from "commander";
import type { ImageDetails, PruneItem } from "../../api/types/image-care.ts";
import { validateImageName } from "../../model/image-reference.ts";
import { validateVmRef } from "../../model/names.ts";
import { formatBytes } from "../../model/quantities.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { showEachRef } from "../refs.ts";
import { renderFacts } from "../render/facts.ts";
import { renderTable } from "../render/table.ts";
import { type LongFlags, runLong } from "./long.ts";

export function defineImageCare(image: Command, ctx: CliContext): void {
  image
    .command("show")
    .alias("inspect")
    .description("show what images run, what they are made of, and who uses them")
    .argument("<name...>")
    .option("--json", "as JSON; several as a list")
    .action(async (names: string[], { json = false }: { json?: boolean }) => {
      const client = await ctx.client();
      const find = async (name: string): Promise<ImageDetails> =>
        await client.showImage(validateImageName(name));
      await showEachRef(ctx, names, { json, find, render: renderImage });
    });
  image
    .command("tag")
    .description("give an image another name; what that stood for goes when nothing else uses it")
    .argument("<name>", "or the digest of an image that lost its record")
    .argument("<new-name>")
    .action(async (name: string, newName: string) => {
      const client = await ctx.client();
      const tagged = await client.tagImage(validateImageName(name), validateImageName(newName));
      ctx.print(tagged.name);
    });
  defineCommit(image, ctx);
  definePrune(image, ctx);
  defineVerify(image, ctx);
}

function defineCommit(image: Command, ctx: CliContext): void {
  image
    .command("commit")
    .description("make an image of a VM, stopped or running: its image, and what it wrote, as one more layer")
    .argument("<vm>")
    .argument("<name>", "the new image's name")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (vm: string, name: string, flags: LongFlags) => {
      const wish = { vm: validateVmRef(vm), name: validateImageName(name) };
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const result = await client.commitImage(wish, options);
        return { result, line: `${result.name} ${result.digest}` };
      });
    });
}

function definePrune(image: Command, ctx: CliContext): void {
  image
    .command("prune")
    .description("remove what nothing uses: images without a name and a VM, and blobs without an image")
    .option("-a, --all", "also images that have a name and no VM, and those that lost their record")
    .option("-n, --dry-run", "only say what would go, and why the rest stays")
    .option("--json", "as JSON")
    .action(async (flags: { all?: boolean; dryRun?: boolean; json?: boolean }) => {
      const { all = false, dryRun = false, json = false } = flags;
      const items = await (await ctx.client()).pruneImages({ all, dryRun });
      if (json) return ctx.printJson(items);
      if (items.length > 0) ctx.print(renderPrune(items, dryRun));
      const freed = items.filter((item) => item.removed).reduce((sum, item) => sum + item.sizeBytes, 0);
      return ctx.say(`${dryRun ? "would free" : "freed"} ${formatBytes(freed)}`);
    });
}

function defineVerify(image: Command, ctx: CliContext): void {
  image
    .command("verify")
    .description("read all images, blobs and kernels, and say which are damaged; exits 1 when one is")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (flags: LongFlags) => {
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const result = await client.verifyImages(options);
        const { checked, damages } = result;
        if (damages.length > 0) ctx.exitCode = EXIT.failure;
        const lines = damages.flatMap(({ kind, id, names, problem, vms, cure }) => [
          `${kind} ${id.slice(0, 19)}${names.length === 0 ? "" : ` (${names.join(", ")})`}: ${problem}`,
          ...(vms.length === 0 ? [] : [`  cannot start: ${vms.join(", ")}`]),
          `  cure: ${cure}`,
        ]);
        return { result, line: [...lines, `${checked} checked, ${damages.length} damaged`].join("\n") };
      });
    });
}

function renderImage(image: ImageDetails): string {
  const { config } = image;
  const words = (list: readonly string[] | undefined): string | undefined =>
    list === undefined || list.length === 0 ? undefined : JSON.stringify(list);
  const blobs = image.blobs.map(({ digest, sizeBytes }) => `${digest} ${formatBytes(sizeBytes)}`);
  return renderFacts([
    ["name", image.name],
    ["names", image.names.length > 1 ? image.names.join(", ") : undefined],
    ["digest", image.digest],
    ["usable", image.usable ? undefined : "no: its content is damaged or gone"],
    ["size", formatBytes(image.sizeBytes)],
    ["source", image.source],
    ["created", new Date(image.createdAt).toISOString()],
    ["used by", image.vms.length === 0 ? undefined : image.vms.join(", ")],
    ["entrypoint", words(config.entrypoint)],
    ["cmd", words(config.cmd)],
    ["user", config.user],
    ["workdir", config.workdir],
    ["env", words(Object.entries(config.env ?? {}).map(([key, value]) => `${key}=${value}`))],
    ["ports", config.exposedPorts?.join(", ")],
    ["volumes", config.volumes?.join(", ")],
    ["manifest", image.manifestDigest],
    ["blobs", blobs],
  ]);
}

function renderPrune(items: readonly PruneItem[], dryRun: boolean): string {
  const goes = dryRun ? "would go" : "removed";
  const rows = items.map((item) => [
    item.kind,
    item.names.length === 0 ? item.id.slice(0, 19) : item.names.join(", "),
    formatBytes(item.sizeBytes),
    item.removed ? goes : "stays",
    item.reason,
  ]);
  return renderTable(["KIND", "WHAT", "SIZE", "FATE", "WHY"], rows);
}
