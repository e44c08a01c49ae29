/** The command line: argv to a command, an error to words and an exit code. */
import { CommanderError } from "commander";
import { BangerError } from "../model/errors.ts";
import { CliContext, type CliOptions } from "./context.ts";
import { EXIT, exitCodeOf, exitCodeOfCommand } from "./exit-codes.ts";
import { createProgram } from "./program.ts";
import { renderError } from "./render/error.ts";

/** Verbs whose exit code is a guest command's own, and 125 for what is ours. */
const RUNS_COMMANDS: ReadonlySet<string> = new Set(["run", "exec", "shell", "ssh"]);

/** Runs one command and returns the exit code. Never throws. */
export async function runCli(argv: readonly string[], options: CliOptions): Promise<number> {
  // `vm` is the long form of every verb on VMs.
  const words = argv[0] === "vm" ? argv.slice(1) : argv;
  // What stands behind `--` is the guest's and is not looked at; exec finds its own, for a command may hold one, too.
  const split = words[0] === "exec" ? -1 : words.indexOf("--");
  const own = split < 0 ? words : words.slice(0, split);
  const ctx = new CliContext(options, split < 0 ? [] : words.slice(split + 1));
  try {
    const [verb, ...rest] = own;
    const program = await createProgram(ctx, verb);
    if (verb === "help") {
      const { printHelp } = await import("./help.ts");
      const named = rest.filter((word) => !word.startsWith("-"));
      printHelp(program, named);
    } else await program.parseAsync(own, { from: "user" });
    return (await ctx.flush()) ? ctx.exitCode : EXIT.failure;
  } catch (thrown) {
    // commander has printed help, or the usage error, by itself.
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? 0 : EXIT.usage;
    const error = BangerError.from(thrown);
    ctx.say(renderError(error));
    if (error.details["field"] !== undefined && error.code === "invalid_argument") return EXIT.usage;
    return RUNS_COMMANDS.has(words[0] ?? "") ? exitCodeOfCommand(error) : exitCodeOf(error);
  }
}
