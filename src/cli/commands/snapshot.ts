/** `snapshot` and `fork`: VMs saved, taken back, and multiplied. */
import type { Command } from "commander";
import { validateVmName } from "../../model/names.ts";
import { formatBytes, formatDurationMs, parseWholeNumber } from "../../model/quantities.ts";
import { MAX_FORKS } from "../../model/vm-wish.ts";
import type { CliContext } from "../context.ts";
import { forEachRef } from "../refs.ts";
import { renderTable } from "../render/table.ts";
import { type LongFlags, runLong } from "./long.ts";

export function defineSnapshot(program: Command, ctx: CliContext): void {
  const snapshot = program
    .command("snapshot")
    .summary("save VMs and go back to them")
    .description("Points in time of VMs: their disks, and the memory of those that were up.")
    .addHelpText(
      "after",
      `
Examples:
  banger snapshot create web ready
  banger snapshot restore web ready
  banger run --rm --snapshot ready -- make test`,
    );
  defineCreate(snapshot, ctx);
  defineList(snapshot, ctx);
  snapshot
    .command("show")
    .description("print all that is known of a snapshot, as JSON")
    .argument("<snapshot>", "name or id")
    .option("--json", "the same")
    .action(async (ref: string) => ctx.printJson(await (await ctx.client()).showSnapshot(ref)));
  snapshot
    .command("rm")
    .description("delete snapshots; VMs that were made from them live on")
    .argument("<snapshot...>", "names or ids")
    .action(async (refs: string[]) => {
      const client = await ctx.client();
      await forEachRef(ctx, refs, async (ref) => (await client.removeSnapshot(ref)).name);
    });
  snapshot
    .command("restore")
    .description("take a VM back to a snapshot of it: disk, size, and what ran")
    .argument("<vm>", "name, id or id prefix")
    .argument("<snapshot>", "name or id")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (vm: string, ref: string, flags: LongFlags) => {
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const result = await client.restoreVm(vm, ref, options);
        return { result, line: result.name };
      });
    });
  defineFork(program, ctx);
}

function defineCreate(snapshot: Command, ctx: CliContext): void {
  snapshot
    .command("create")
    .description("save a VM as it is now; a running one goes on at once")
    .argument("<vm>", "name, id or id prefix")
    .argument("[name]", "the snapshot's name (default: the VM's, and a number)")
    .option("--disk-only", "save the disk alone")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (vm: string, name: string | undefined, flags: LongFlags & { diskOnly?: boolean }) => {
      if (name !== undefined) validateVmName(name);
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const result = await client.createSnapshot(vm, { name, diskOnly: flags.diskOnly }, options);
        if (flags.quiet !== true && result.pauseMs > 0)
          ctx.say(`${result.vmName} stood still for ${formatDurationMs(result.pauseMs)}`);
        return { result, line: result.name };
      });
    });
}

function defineList(snapshot: Command, ctx: CliContext): void {
  snapshot
    .command("ls")
    .alias("list")
    .description("list snapshots, oldest first")
    .option("-q, --quiet", "only names")
    .option("--json", "as JSON")
    .action(async ({ quiet = false, json = false }: { quiet?: boolean; json?: boolean }) => {
      const snapshots = await (await ctx.client()).listSnapshots();
      const now = Date.now();
      if (json) ctx.printJson(snapshots);
      else if (!quiet) {
        const rows = snapshots.map((one) => [
          one.name,
          one.vmName,
          one.kind,
          formatBytes(one.sizeBytes),
          one.pauseMs === 0 ? "-" : formatDurationMs(one.pauseMs),
          `${formatDurationMs(Math.max(0, now - one.createdAt))} ago`,
        ]);
        ctx.print(renderTable(["NAME", "VM", "KIND", "SIZE", "PAUSE", "CREATED"], rows));
      } else if (snapshots.length > 0) ctx.print(snapshots.map((one) => one.name).join("\n"));
    });
}

function defineFork(program: Command, ctx: CliContext): void {
  program
    .command("fork")
    .summary("make VMs that go on from where one is")
    .description(
      "Makes new VMs that go on from where a running VM is, side by side. It stands still only while it is saved.",
    )
    .argument("<vm>", "name, id or id prefix")
    .option("-n, --count <n>", "how many", "1")
    .option("--name <prefix>", "they are called PREFIX-1, PREFIX-2, ... (default: the VM's name)")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .addHelpText("after", "\nExamples:\n  banger fork web\n  banger fork web -n 4 --name try")
    .action(async (vm: string, flags: LongFlags & { count: string; name?: string }) => {
      const count = parseWholeNumber(flags.count, "--count", { min: 1, max: MAX_FORKS });
      const prefix = flags.name === undefined ? undefined : validateVmName(flags.name);
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const result = await client.forkVm(vm, { count, prefix }, options);
        if (flags.quiet !== true) {
          ctx.say(`${vm} stood still for ${formatDurationMs(result.pauseMs)}`);
          const { spec } = await client.showVm(vm);
          if ((spec.ports ?? []).length > 0)
            ctx.say(`published ports stay with ${vm}; give others with: banger set VM --publish HOST:GUEST`);
        }
        return { result, line: result.vms.map((child) => child.name).join("\n") };
      });
    });
}
