/** `run` and `create`: a new VM. */
import { existsSync } from "node:fs";
import type { Command } from "commander";
import type { ExecRequest } from "../../api/types/exec.ts";
import type { Vm } from "../../api/types/vms.ts";
import type { ImportWorkspace, WorkspaceBootstrap } from "../../api/types/workspaces.ts";
import type { Setup } from "../../model/bootstrap.ts";
import { BangerError } from "../../model/errors.ts";
import { quote } from "../../model/names.ts";
import { formatDurationMs } from "../../model/quantities.ts";
import { attach, findTty, outputListener } from "../attach.ts";
import { readBootstrap, sayBootstrap, settingsBeside } from "../bootstrap.ts";
import type { CliContext } from "../context.ts";
import { createProgressView } from "../render/progress.ts";
import { RunTrace } from "../trace.ts";
import { addExecOptions, type ExecFlags, execRequest, keyOptions, parseEnv } from "./exec-flags.ts";
import { firstGiven } from "./given.ts";
import { runLong } from "./long.ts";
import { collect } from "./repeatable.ts";
import { addVmOptions, createVm, type VmFlags } from "./vm-flags.ts";
import {
  addWorkspaceOptions,
  importWorkspace,
  printPreview,
  WORKSPACE_FLAGS,
  type WorkspaceFlags,
} from "./workspace-flags.ts";

interface RunFlags extends VmFlags, ExecFlags, WorkspaceFlags {
  readonly rm?: boolean;
  readonly detach?: boolean;
  readonly trace?: string;
  readonly bootstrap?: boolean;
  readonly quiet?: boolean;
  readonly json?: boolean;
}

export function defineRun(program: Command, ctx: CliContext): void {
  const run = program
    .command("run")
    .summary("make a VM and run a command in it")
    .description(
      "Makes a VM, starts it, and runs a command in it: the one behind --, else the image's own, else a shell. With -d it runs none.",
    )
    .usage("[flags] [PATH] [-- COMMAND...]")
    .argument("[path...]", "a directory in a git work tree, which comes along; the command starts in it")
    .passThroughOptions()
    .option("--rm", "delete the VM afterwards, whatever happened")
    .option("-d, --detach", "return when the VM is ready")
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "with -d: print the VM as JSON")
    .option("--no-bootstrap", "neither read banger.toml nor run what the work tree says")
    .option("--trace <file>", "write where the time went, for chrome://tracing")
    .addHelpText(
      "after",
      `
The exit code is the command's own; 125 when banger failed, 126 and 127 as a shell would.

Examples:
  banger run --rm -- uname -a
  printf hi | banger run --rm -- cat
  banger run --rm --memory 2G --vcpus 2 -e DEBUG=1 -- make test
  banger run -d --name web -p 8080:80
  banger run -d --name db -v data:/var/lib/postgresql
  banger run --rm ./repo -- make test         with a git work tree
  banger run --dry-run ./repo                 see what would travel, and what would run
  banger run -d --name fix --branch fix ./repo`,
    )
    .action(async (words: string[], flags: RunFlags) => {
      const [path, ...more] = words;
      if (more.length > 0 || (path !== undefined && !existsSync(path))) throw commandWithoutDashes(words);
      const workspace = path === undefined ? demandNone(flags) : importWorkspace(path, flags);
      const wish = workspace && { workspace, bootstrap: await readBootstrap(ctx, workspace, flags) };
      if (wish !== undefined && flags.dryRun === true) return await printPreview(ctx, wish, flags);
      if (flags.json === true && flags.detach !== true) throw jsonWithoutDetach();
      ctx.exitCode =
        flags.detach === true ? await runDetached(ctx, flags, wish) : await runAttached(ctx, flags, wish);
    });
  addWorkspaceOptions(addExecOptions(addVmOptions(run)));
  const create = program
    .command("create")
    .summary("make a VM")
    .description("Makes a VM and starts it.")
    .option("--no-start", "only make it")
    .option("-e, --env <KEY=VALUE>", "environment of every command in the VM, may be repeated", collect, [])
    .option("-q, --quiet", "no progress on stderr")
    .option("--json", "progress and result as JSON lines")
    .action(async (flags: VmFlags & { start: boolean; env: string[]; json?: boolean; quiet?: boolean }) => {
      const wish = { ...createVm(flags), env: parseEnv(flags.env) };
      const client = await ctx.client();
      await runLong(ctx, flags, async (options) => {
        const vm = await client.createVm(wish, {
          ...options,
          start: flags.start,
          cold: flags.cold ?? false,
        });
        return { result: vm, line: vm.name };
      });
    });
  addVmOptions(create);
}

/** A work tree that comes along, and what it says of its VM. */
interface Tree {
  readonly workspace: ImportWorkspace;
  readonly bootstrap: WorkspaceBootstrap | undefined;
}

/** Nothing, where nothing is to be run: such a VM may be one of the warm pool. */
function setupOf(tree: Tree | undefined): Setup | undefined {
  const { steps = [], inputs = [] } = tree?.bootstrap ?? {};
  return steps.length === 0 ? undefined : { steps, inputs };
}

async function runAttached(ctx: CliContext, flags: RunFlags, tree: Tree | undefined): Promise<number> {
  const tty = flags.tty === true || ctx.command.length === 0 ? findTty() : undefined;
  const exec: ExecRequest = { ...execRequest(flags, ctx.command), tty };
  const vm = createVm(flags, settingsBeside(tree?.bootstrap, flags));
  sayBootstrap(ctx, tree?.bootstrap, flags);
  const trace = new RunTrace();
  trace.phase("connect");
  const client = await ctx.client();
  const { rm: remove = false, cold = false } = flags;
  // A VM that goes with its command cannot be left to it.
  const keys = remove
    ? undefined
    : await keyOptions(flags, {
        escapes: ctx.command.length === 0,
        client: tty === undefined ? undefined : client,
      });
  using view = createProgressView({ quiet: flags.quiet ?? false });
  let where = "";
  trace.phase("start");
  const listener = outputListener(view);
  const command = client.run(
    { vm, exec, remove, cold, workspace: tree?.workspace, setup: setupOf(tree) },
    {
      ...listener,
      onProgress: (line) => {
        trace.onProgress(line);
        listener.onProgress?.(line);
      },
      onReady: ({ name }) => {
        trace.phase("command");
        where = name;
      },
    },
  );
  const code = await attach(command, {
    tty,
    stdin: flags.stdin,
    view,
    keys,
    rejoin: (id) => `banger exec --attach ${id} ${where}`,
  });
  if (flags.trace !== undefined) trace.write(flags.trace);
  return code;
}

async function runDetached(ctx: CliContext, flags: RunFlags, tree: Tree | undefined): Promise<number> {
  if (flags.rm === true || ctx.command.length > 0) {
    throw new BangerError("invalid_argument", `-d goes neither with --rm nor with a command`, {
      cure: "start it with: banger run -d --name NAME; then: banger exec NAME -- COMMAND",
      details: { field: "detach" },
    });
  }
  const { user, workdir, timeout, tty, trace, detachKeys } = flags;
  const culprit = firstGiven({
    "--user": user,
    "--workdir": workdir,
    "--timeout": timeout,
    "--tty": tty,
    "--trace": trace,
    "--detach-keys": detachKeys,
  });
  if (culprit !== undefined) {
    throw new BangerError("invalid_argument", `${culprit} is a command's, and -d runs none`, {
      cure: culprit === "--trace" ? "leave -d out" : "give it to: banger exec",
      details: { field: "detach" },
    });
  }
  const settings = settingsBeside(tree?.bootstrap, flags);
  const wish = { ...createVm(flags, settings), env: { ...settings.env, ...parseEnv(flags.env) } };
  sayBootstrap(ctx, tree?.bootstrap, flags);
  const client = await ctx.client();
  using view = createProgressView({ quiet: flags.quiet ?? false });
  const from = performance.now();
  let ready: Vm | undefined;
  const command = client.run(
    { vm: wish, cold: flags.cold ?? false, workspace: tree?.workspace, setup: setupOf(tree) },
    {
      ...outputListener(view),
      onReady: (vm) => {
        ready = vm;
      },
    },
  );
  const code = await attach(command, { tty: undefined, stdin: false, view });
  if (ready === undefined) return code;
  if (flags.json === true) ctx.printJson(ready);
  else ctx.print(ready.name);
  if (flags.quiet !== true)
    ctx.say(`${ready.name} is running (${formatDurationMs(performance.now() - from)})`);
  return code;
}

function commandWithoutDashes(words: readonly string[]): BangerError {
  return new BangerError(
    "invalid_argument",
    `run does not know what ${quote(words[0] ?? "")} is: there is no such directory`,
    {
      cure: `write the command behind --, such as: banger run --rm -- ${words.join(" ")}`,
      details: { field: "command" },
    },
  );
}

/** What is said of a work tree needs one. */
function demandNone(flags: RunFlags): undefined {
  const given = WORKSPACE_FLAGS.find((flag) => flags[flag] !== undefined);
  if (given === undefined) return undefined;
  const flag = `--${given.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  throw new BangerError("invalid_argument", `${flag} is about a work tree, and no path was named`, {
    cure: `name one, such as: banger run ${flag}${flag === "--dry-run" ? "" : " …"} ./repo`,
    details: { field: given },
  });
}

function jsonWithoutDetach(): BangerError {
  return new BangerError("invalid_argument", "--json goes with -d only: else stdout is the command's", {
    cure: "leave it out, or start the VM alone with: banger run -d --json",
    details: { field: "json" },
  });
}
