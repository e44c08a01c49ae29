/** The verbs of a VM's life that take VMs: each a name, its words, and one call of the client. */
import { type Command, Option } from "commander";
import { BangerError } from "../../model/errors.ts";
import { quote } from "../../model/names.ts";
import { parseDurationMs } from "../../model/quantities.ts";
import { MAX_STOP_TIMEOUT_MS } from "../../model/vm-wish.ts";
import type { LongCallOptions } from "../../sdk/calls.ts";
import type { Client } from "../../sdk/client.ts";
import type { CliContext } from "../context.ts";
import { forEachRef } from "../refs.ts";
import { type LongFlags, runLong } from "./long.ts";

export function defineLife(program: Command, ctx: CliContext): void {
  defineLong(program, ctx, {
    verb: "start",
    summary: "boot stopped VMs",
    description: "Boots stopped VMs, side by side.",
    call: async (client, ref, options) => await client.startVm(ref, options),
  });
  defineLong(program, ctx, {
    verb: "stop",
    summary: "power VMs off",
    description: "Asks the guests to power off, and waits. What they wrote is on disk.",
    option: timeoutOption(),
    call: async (client, ref, { timeout, ...options }) =>
      await client.stopVm(ref, { ...options, ...parseTimeout(timeout) }),
  });
  defineLong(program, ctx, {
    verb: "restart",
    summary: "stop and boot VMs",
    description: "Powers VMs off as stop does, and boots them anew.",
    option: timeoutOption(),
    call: async (client, ref, { timeout, ...options }) =>
      await client.restartVm(ref, { ...options, ...parseTimeout(timeout) }),
  });
  defineLong(program, ctx, {
    verb: "kill",
    summary: "end VMs at once",
    description: "Ends the processes of VMs without asking the guests. What they had not synced is lost.",
    option: new Option("--signal <name>", "KILL, or TERM: write out buffers first")
      .choices(["KILL", "TERM"])
      .default("KILL"),
    call: async (client, ref, { how, ...options }) => await client.killVm(ref, { ...options, how }),
  });
  defineShort(program, ctx, {
    verb: "pause",
    summary: "stop the vCPUs of VMs",
    description: "Stops the vCPUs of running VMs; their memory stays. Continue them with resume.",
    call: async (client, ref) => (await client.pauseVm(ref)).name,
  });
  defineShort(program, ctx, {
    verb: "resume",
    summary: "let paused VMs go on",
    description: "Lets the vCPUs of paused VMs go on.",
    call: async (client, ref) => (await client.resumeVm(ref)).name,
  });
  defineShort(program, ctx, {
    verb: "wait",
    summary: "wait until VMs are stopped",
    description: "Waits until VMs are stopped (or in error), and prints each name with its state.",
    call: async (client, ref) => {
      const { name, state } = await client.waitVm(ref);
      return `${name} ${state}`;
    },
  });
  defineRemove(program, ctx);
}

interface Verb {
  readonly verb: string;
  readonly summary: string;
  readonly description: string;
}

interface LifeFlags extends LongFlags {
  readonly timeout?: string;
  readonly signal?: "KILL" | "TERM";
}

interface LongVerbOptions extends LongCallOptions {
  readonly timeout: string | undefined;
  readonly how: "KILL" | "TERM";
}

interface LongVerb extends Verb {
  /** The one flag that the verb has beside the common ones. */
  readonly option?: Option;
  readonly call: (
    client: Client,
    ref: string,
    options: LongVerbOptions,
  ) => Promise<{ readonly name: string }>;
}

interface ShortVerb extends Verb {
  /** Returns the line that is printed. */
  readonly call: (client: Client, ref: string) => Promise<string>;
}

/** A verb that takes a while: progress, `--json` lines, and ^C cancels it. */
function defineLong(program: Command, ctx: CliContext, verb: LongVerb): void {
  const command = defineVerb(program, verb);
  if (verb.option !== undefined) command.addOption(verb.option);
  command
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines; of several VMs each has its ref")
    .action(async (refs: string[], { timeout, signal: how = "KILL", ...flags }: LifeFlags) => {
      // A bad duration is refused before anything is touched.
      parseTimeout(timeout);
      const client = await ctx.client();
      const several = refs.length > 1;
      // Several live lines would overwrite each other: with more than one VM only the results are shown.
      const quiet = flags.quiet === true || several;
      await forEachRef(ctx, refs, async (ref) => {
        await runLong(ctx, { ...flags, quiet, ref: several ? ref : undefined }, async (options) => {
          const vm = await verb.call(client, ref, { ...options, timeout, how });
          return { result: vm, line: vm.name };
        });
        return "";
      });
    });
}

function defineShort(program: Command, ctx: CliContext, verb: ShortVerb): void {
  defineVerb(program, verb).action(async (refs: string[]) => {
    const client = await ctx.client();
    await forEachRef(ctx, refs, async (ref) => await verb.call(client, ref));
  });
}

function defineRemove(program: Command, ctx: CliContext): void {
  defineVerb(program, {
    verb: "rm",
    summary: "delete VMs and their disks",
    description: "Deletes VMs and their disks. A running one needs -f.",
  })
    .alias("delete")
    .option("-f, --force", "also running ones")
    .action(async (refs: string[], { force = false }: { force?: boolean }) => {
      const client = await ctx.client();
      await forEachRef(ctx, refs, async (ref) => (await client.removeVm(ref, { force })).name);
    });
}

function defineVerb(program: Command, { verb, summary, description }: Verb): Command {
  return program
    .command(verb)
    .summary(summary)
    .description(description)
    .argument("<vm...>", "names, ids or id prefixes");
}

function timeoutOption(): Option {
  return new Option(
    "--timeout <duration>",
    "how long a guest may take before its process is ended (default: the configured stop_timeout)",
  );
}

/** Errors: `invalid_argument`. */
function parseTimeout(text: string | undefined): { timeoutMs?: number } {
  if (text === undefined) return {};
  const timeoutMs = parseDurationMs(text, "--timeout");
  if (timeoutMs <= MAX_STOP_TIMEOUT_MS) return { timeoutMs };
  throw new BangerError("invalid_argument", `--timeout ${quote(text)} is more than an hour`, {
    cure: "give less; a guest that is stuck is ended at once by: banger kill VM",
    details: { field: "timeout" },
  });
}
