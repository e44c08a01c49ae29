/** `volume`: disks that outlive VMs. */
import type { Command } from "commander";
import type { Volume } from "../../api/types/volumes.ts";
import { formatBytes, formatDurationMs, parseSizeBytes } from "../../model/quantities.ts";
import { validateVolumeName } from "../../model/volume.ts";
import type { CliContext } from "../context.ts";
import { forEachRef } from "../refs.ts";
import { renderTable } from "../render/table.ts";

export function defineVolume(program: Command, ctx: CliContext): void {
  const volume = program
    .command("volume")
    .summary("disks that outlive VMs")
    .description("Disks that outlive VMs. A VM gets one with -v NAME:/PATH; one writes, or many read (:ro).")
    .addHelpText(
      "after",
      `
Examples:
  banger volume create data --size 20G
  banger run -d --name db -v data:/var/lib/postgresql
  banger volume set data --size 40G`,
    );
  volume
    .command("create")
    .description("make an empty one")
    .argument("<name>")
    .option("--size <size>", "its size; it takes only what is written", "8G")
    .action(async (name: string, { size }: { size: string }) => {
      const wish = { name: validateVolumeName(name), sizeBytes: parseSizeBytes(size, "--size") };
      ctx.print((await (await ctx.client()).createVolume(wish)).name);
    });
  volume
    .command("ls")
    .alias("list")
    .description("list volumes")
    .option("-q, --quiet", "only names")
    .option("--json", "as JSON")
    .action(async ({ quiet = false, json = false }: { quiet?: boolean; json?: boolean }) => {
      const volumes = await (await ctx.client()).listVolumes();
      if (json) ctx.printJson(volumes);
      else if (!quiet) ctx.print(renderTable(["NAME", "SIZE", "STORED", "CREATED", "VMS"], volumes.map(row)));
      else if (volumes.length > 0) ctx.print(volumes.map((one) => one.name).join("\n"));
    });
  volume
    .command("show")
    .description("show one as JSON")
    .argument("<name>")
    .option("--json", "the same")
    .action(async (name: string) => {
      ctx.printJson(await (await ctx.client()).showVolume(validateVolumeName(name)));
    });
  volume
    .command("set")
    .description("make one larger; no running VM may have it")
    .argument("<name>")
    .requiredOption("--size <size>", "its new size")
    .action(async (name: string, { size }: { size: string }) => {
      const sizeBytes = parseSizeBytes(size, "--size");
      ctx.print((await (await ctx.client()).setVolume(validateVolumeName(name), { sizeBytes })).name);
    });
  volume
    .command("rm")
    .description("delete volumes, and what is on them")
    .argument("<name...>")
    .action(async (names: string[]) => {
      const client = await ctx.client();
      await forEachRef(
        ctx,
        names,
        async (name) => (await client.removeVolume(validateVolumeName(name))).name,
      );
    });
}

function row(one: Volume): string[] {
  const age = formatDurationMs(Math.max(0, Date.now() - one.createdAt));
  return [
    one.name,
    formatBytes(one.sizeBytes),
    formatBytes(one.storedBytes),
    `${age} ago`,
    one.vms.join(", "),
  ];
}
