/**
 * The program: which module defines which verbs. A command line loads the module of the verb that it names and no other, for
 * reading and defining all of them takes longer than most commands do.
 */
import { Command, Help, type Option } from "commander";
import type { CliContext } from "./context.ts";

type Define = (program: Command, ctx: CliContext) => void;

interface Group {
  /** The names and aliases of the commands that it defines. */
  readonly verbs: readonly string[];
  readonly load: () => Promise<Define>;
}

/** In the order of the help. */
export const GROUPS: readonly Group[] = [
  { verbs: ["run", "create"], load: async () => (await import("./commands/run.ts")).defineRun },
  { verbs: ["exec", "shell"], load: async () => (await import("./commands/exec.ts")).defineExec },
  {
    verbs: ["start", "stop", "restart", "kill", "pause", "resume", "wait", "rm", "delete"],
    load: async () => (await import("./commands/life.ts")).defineLife,
  },
  {
    verbs: ["ps", "ls", "list", "show", "inspect"],
    load: async () => (await import("./commands/look.ts")).defineLook,
  },
  { verbs: ["stats", "top", "ports"], load: async () => (await import("./commands/use.ts")).defineUse },
  {
    verbs: ["ssh", "ssh-config", "ssh-proxy"],
    load: async () => (await import("./commands/ssh.ts")).defineSsh,
  },
  { verbs: ["cp"], load: async () => (await import("./commands/cp.ts")).defineCp },
  { verbs: ["forward"], load: async () => (await import("./commands/forward.ts")).defineForward },
  { verbs: ["logs"], load: async () => (await import("./commands/logs.ts")).defineLogs },
  { verbs: ["events"], load: async () => (await import("./commands/events.ts")).defineEvents },
  { verbs: ["set"], load: async () => (await import("./commands/set.ts")).defineSet },
  { verbs: ["prune"], load: async () => (await import("./commands/prune.ts")).definePrune },
  { verbs: ["completion"], load: async () => (await import("./commands/completion.ts")).defineCompletion },
  { verbs: ["image"], load: async () => (await import("./commands/image.ts")).defineImage },
  { verbs: ["kernel"], load: async () => (await import("./commands/kernel.ts")).defineKernel },
  { verbs: ["volume"], load: async () => (await import("./commands/volume.ts")).defineVolume },
  {
    verbs: ["snapshot", "fork"],
    load: async () => (await import("./commands/snapshot.ts")).defineSnapshot,
  },
  { verbs: ["workspace"], load: async () => (await import("./commands/workspace.ts")).defineWorkspace },
  { verbs: ["template"], load: async () => (await import("./commands/template.ts")).defineTemplate },
  { verbs: ["network"], load: async () => (await import("./commands/network.ts")).defineNetwork },
  { verbs: ["doctor"], load: async () => (await import("./commands/doctor.ts")).defineDoctor },
  { verbs: ["config"], load: async () => (await import("./commands/config.ts")).defineConfig },
  { verbs: ["daemon"], load: async () => (await import("./commands/daemon.ts")).defineDaemon },
  { verbs: ["version"], load: async () => (await import("./commands/version.ts")).defineVersion },
];

/** The program as far as `verb` needs it; the whole of it for any other word, which is how help and completion get it. */
export async function createProgram(ctx: CliContext, verb?: string): Promise<Command> {
  const program = new Command("banger")
    .description("Real Linux virtual machines that start like processes.")
    .version(`banger ${ctx.version}`, "-v, --version", "print the version")
    .enablePositionalOptions()
    .exitOverride()
    .hook("preAction", (_program, action) => {
      ctx.quiet = isQuiet(action);
    })
    .configureHelp({ showGlobalOptions: false, optionDescription: describeOption })
    .addHelpText(
      "after",
      `
Examples:
  banger run --rm -- uname -a            run one command in a VM of its own
  banger run ./repo -- make test         bring a git work tree along
  banger run --name web -d               start a VM and leave it running
  banger exec web -- make -j4            run a command in it
  banger shell web                       open a shell in it`,
    );
  const named = GROUPS.filter(({ verbs }) => verb !== undefined && verbs.includes(verb));
  const wanted = await Promise.all((named.length > 0 ? named : GROUPS).map(({ load }) => load()));
  for (const define of wanted) define(program, ctx);
  wordMistakes(program, "banger");
  return program;
}

/** What only programs read, and what runs behind another program's back. */
function isQuiet(action: Command): boolean {
  const { json, quiet, ids, names } = action.opts<Readonly<Record<string, unknown>>>();
  return [json, quiet, ids, names].includes(true) || ["ssh-proxy", "__complete"].includes(action.name());
}

/** A list that is empty until something is given has no default to speak of. */
function describeOption(option: Option): string {
  const { defaultValue, description } = option;
  const isEmptyList = Array.isArray(defaultValue) && defaultValue.length === 0;
  return isEmptyList ? description : new Help().optionDescription(option);
}

/** The parser's own words begin with `error:`; ours with the program's name, and end with what to do. */
function wordMistakes(command: Command, path: string): void {
  command.configureOutput({
    outputError: (text, write) =>
      write(`${text.replace(/^error:/, "banger:")}  cure: see what there is with: ${path} --help\n`),
  });
  for (const child of command.commands) wordMistakes(child, `${path} ${child.name()}`);
}
