/** `start`, `stop` and `rm`: VMs that exist. */
import { type Command, Option } from "commander";
import { parseDurationMs } from "../../model/quantities.ts";
import type { LongCallOptions } from "../../sdk/client.ts";
import type { CliContext } from "../context.ts";
import { forEachRef } from "../refs.ts";
import { type LongFlags, runLong } from "./long.ts";

export function defineLife(program: Command, ctx: CliContext): void {
  program
    .command("start")
    .summary("boot stopped VMs")
    .description("Boots stopped VMs, side by side.")
    .argument("<vm...>", "names, ids or id prefixes")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (refs: string[], flags: LongFlags) => {
      const client = await ctx.client();
      await longEach(ctx, refs, flags, async (ref, options) => await client.startVm(ref, options));
    });
  program
    .command("stop")
    .summary("power VMs off")
    .description("Asks the guests to power off, and waits. What they wrote is on disk.")
    .argument("<vm...>", "names, ids or id prefixes")
    .option(
      "--timeout <duration>",
      "how long a guest may take before its process is ended (default: the configured stop_timeout)",
    )
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (refs: string[], flags: LongFlags & { timeout?: string }) => {
      const timeout =
        flags.timeout === undefined ? {} : { timeoutMs: parseDurationMs(flags.timeout, "--timeout") };
      const client = await ctx.client();
      await longEach(
        ctx,
        refs,
        flags,
        async (ref, options) => await client.stopVm(ref, { ...options, ...timeout }),
      );
    });
  program
    .command("restart")
    .summary("stop and boot VMs")
    .description("Powers VMs off as stop does, and boots them anew.")
    .argument("<vm...>", "names, ids or id prefixes")
    .option(
      "--timeout <duration>",
      "how long a guest may take before its process is ended (default: the configured stop_timeout)",
    )
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (refs: string[], flags: LongFlags & { timeout?: string }) => {
      const timeout =
        flags.timeout === undefined ? {} : { timeoutMs: parseDurationMs(flags.timeout, "--timeout") };
      const client = await ctx.client();
      await longEach(
        ctx,
        refs,
        flags,
        async (ref, options) => await client.restartVm(ref, { ...options, ...timeout }),
      );
    });
  program
    .command("kill")
    .summary("end VMs at once")
    .description("Ends the processes of VMs without asking the guests. What they had not synced is lost.")
    .argument("<vm...>", "names, ids or id prefixes")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .addOption(
      new Option("--signal <name>", "KILL, or TERM: write out buffers first")
        .choices(["KILL", "TERM"])
        .default("KILL"),
    )
    .action(async (refs: string[], flags: LongFlags & { signal: "KILL" | "TERM" }) => {
      const client = await ctx.client();
      await longEach(
        ctx,
        refs,
        flags,
        async (ref, options) => await client.killVm(ref, { ...options, how: flags.signal }),
      );
    });
  program
    .command("pause")
    .summary("stop the vCPUs of VMs")
    .description("Stops the vCPUs of running VMs; their memory stays. Continue them with resume.")
    .argument("<vm...>", "names, ids or id prefixes")
    .action(async (refs: string[]) => {
      const client = await ctx.client();
      await forEachRef(ctx, refs, async (ref) => (await client.pauseVm(ref)).name);
    });
  program
    .command("resume")
    .summary("let paused VMs go on")
    .description("Lets the vCPUs of paused VMs go on.")
    .argument("<vm...>", "names, ids or id prefixes")
    .action(async (refs: string[]) => {
      const client = await ctx.client();
      await forEachRef(ctx, refs, async (ref) => (await client.resumeVm(ref)).name);
    });
  program
    .command("wait")
    .summary("wait until VMs are stopped")
    .description("Waits until VMs are stopped (or in error), and prints each name with its state.")
    .argument("<vm...>", "names, ids or id prefixes")
    .action(async (refs: string[]) => {
      const client = await ctx.client();
      await forEachRef(ctx, refs, async (ref) => {
        const { name, state } = await client.waitVm(ref);
        return `${name} ${state}`;
      });
    });
  program
    .command("rm")
    .alias("delete")
    .summary("delete VMs and their disks")
    .description("Deletes VMs and their disks. A running one needs -f.")
    .argument("<vm...>", "names, ids or id prefixes")
    .option("-f, --force", "also running ones")
    .action(async (refs: string[], { force = false }: { force?: boolean }) => {
      const client = await ctx.client();
      await forEachRef(ctx, refs, async (ref) => (await client.removeVm(ref, { force })).name);
    });
}

async function longEach(
  ctx: CliContext,
  refs: readonly string[],
  flags: LongFlags,
  work: (ref: string, options: LongCallOptions) => Promise<{ readonly name: string }>,
): Promise<void> {
  // Several live lines would overwrite each other: with more than one VM only the results are shown.
  const quiet = flags.quiet === true || refs.length > 1;
  await forEachRef(ctx, refs, async (ref) => {
    await runLong(ctx, { ...flags, quiet }, async (options) => {
      const vm = await work(ref, options);
      return { result: vm, line: vm.name };
    });
    return "";
  });
}
