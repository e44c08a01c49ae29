/** The command line: argv to a command, an error to words and an exit code. */
import { Command, CommanderError } from "commander";
import { BangerError } from "../model/errors.ts";
import { defineCompletion } from "./commands/completion.ts";
import { defineConfig } from "./commands/config.ts";
import { defineDaemon } from "./commands/daemon.ts";
import { defineDoctor } from "./commands/doctor.ts";
import { defineEvents } from "./commands/events.ts";
import { defineExec } from "./commands/exec.ts";
import { defineImage } from "./commands/image.ts";
import { defineLife } from "./commands/life.ts";
import { defineLogs } from "./commands/logs.ts";
import { defineLook } from "./commands/look.ts";
import { definePrune } from "./commands/prune.ts";
import { defineRun } from "./commands/run.ts";
import { defineSet } from "./commands/set.ts";
import { defineUse } from "./commands/use.ts";
import { CliContext, type CliOptions } from "./context.ts";
import { EXIT, exitCodeOfCommand } from "./exit-codes.ts";
import { renderError } from "./render/error.ts";

/** Verbs whose exit code is a guest command's own, and 125 for what is ours. */
const RUNS_COMMANDS: ReadonlySet<string> = new Set(["run", "exec", "shell"]);

/** Runs one command and returns the exit code. Never throws. */
export async function runCli(argv: readonly string[], options: CliOptions): Promise<number> {
  // `vm` is the long form of every verb on VMs.
  const words = argv[0] === "vm" ? argv.slice(1) : argv;
  // What stands behind `--` is the guest's and is not looked at; exec finds its own, for a command may hold one, too.
  const split = words[0] === "exec" ? -1 : words.indexOf("--");
  const own = split < 0 ? words : words.slice(0, split);
  const ctx = new CliContext(options, split < 0 ? [] : words.slice(split + 1));
  try {
    await createProgram(ctx).parseAsync(own, { from: "user" });
    return (await ctx.flush()) ? ctx.exitCode : EXIT.failure;
  } catch (thrown) {
    // commander has printed help, or the usage error, by itself.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT.usage;
    const error = BangerError.from(thrown);
    ctx.say(renderError(error));
    if (error.details["field"] !== undefined && error.code === "invalid_argument") return EXIT.usage;
    return RUNS_COMMANDS.has(words[0] ?? "") ? exitCodeOfCommand(error) : EXIT.failure;
  }
}

/** The whole program, for help and documentation too. */
export function createProgram(ctx: CliContext): Command {
  const program = new Command("banger")
    .description("Real Linux virtual machines that start like processes.")
    .version(`banger ${ctx.version}`, "-v, --version", "print the version")
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({
      // Its own words begin with `error:`; ours with the program's name, and end with what to do.
      outputError: (text, write) =>
        write(`${text.replace(/^error:/, "banger:")}  cure: see what there is with: banger --help\n`),
    })
    .configureHelp({ showGlobalOptions: false })
    .addHelpText(
      "after",
      `
Examples:
  banger run --rm -- uname -a            run one command in a VM of its own
  banger run --name web -d               start a VM and leave it running
  banger exec web -- make -j4            run a command in it
  banger shell web                       open a shell in it`,
    );
  defineRun(program, ctx);
  defineExec(program, ctx);
  defineLife(program, ctx);
  defineLook(program, ctx);
  defineUse(program, ctx);
  defineLogs(program, ctx);
  defineEvents(program, ctx);
  defineSet(program, ctx);
  definePrune(program, ctx);
  defineCompletion(program, ctx);
  defineImage(program, ctx);
  defineDoctor(program, ctx);
  defineConfig(program, ctx);
  defineDaemon(program, ctx);
  program
    .command("version")
    .description("print the version")
    .option("--json", "as JSON")
    .action(({ json }: { json?: boolean }) => {
      if (json === true) ctx.printJson({ version: ctx.version });
      else ctx.print(`banger ${ctx.version}`);
    });
  return program;
}
