/** `exec` and `shell`: a command in a VM that runs. */
import type { Command } from "commander";
import { BangerError } from "../../model/errors.ts";
import { validateVmRef } from "../../model/names.ts";
import { formatDurationMs } from "../../model/quantities.ts";
import { attach, findTty, outputListener } from "../attach.ts";
import type { CliContext } from "../context.ts";
import { createProgressView } from "../render/progress.ts";
import { renderTable } from "../render/table.ts";
import { addExecOptions, type ExecFlags, execRequest } from "./exec-flags.ts";

export function defineExec(program: Command, ctx: CliContext): void {
  const exec = program
    .command("exec")
    .summary("run a command in a running VM")
    .description("Runs a command in a running VM. The exit code is the command's own.")
    .usage("[flags] VM [--] COMMAND...")
    .argument("<vm>", "name, id or id prefix")
    .argument("[command...]")
    .passThroughOptions()
    .addHelpText(
      "after",
      `
Examples:
  banger exec web -- make -j4
  banger exec -u www-data -w /srv web -- ls -l
  banger exec -t web -- top
  banger exec -d web -- make        print an id and let it run
  banger exec ls web                list such commands
  banger exec --attach ID web       join one`,
    )
    .option("-d, --detach", "let it run by itself, and print its id")
    .option("--attach <id>", "join a detached command: its kept output, then live")
    .action(async (vm: string, words: string[], flags: ExecFlags & { detach?: boolean; attach?: string }) => {
      const [listed] = words;
      if (vm === "ls" && listed !== undefined && listed !== "--" && words.length === 1)
        return await list(ctx, validateVmRef(listed));
      if (flags.attach !== undefined) {
        ctx.exitCode = await join(ctx, validateVmRef(vm), flags.attach);
        return;
      }
      const command = words[0] === "--" ? words.slice(1) : words;
      if (command.length === 0) {
        throw new BangerError("invalid_argument", "exec needs a command", {
          cure: `write it behind --, such as: banger exec ${vm} -- uname -a; or open a shell with: banger shell ${vm}`,
          details: { field: "command" },
        });
      }
      if (flags.detach === true) return await detach(ctx, validateVmRef(vm), { flags, command });
      ctx.exitCode = await execIn(ctx, validateVmRef(vm), { flags, command });
    });
  addExecOptions(exec);
  const shell = program
    .command("shell")
    .summary("open a shell in a running VM")
    .description("Opens a shell in a running VM: bash where the image has it, else sh.")
    .argument("<vm>", "name, id or id prefix")
    .action(async (vm: string, flags: ExecFlags) => {
      ctx.exitCode = await execIn(ctx, validateVmRef(vm), { flags: { ...flags, tty: true }, command: [] });
    });
  addExecOptions(shell);
}

async function execIn(
  ctx: CliContext,
  vm: string,
  { flags, command }: { flags: ExecFlags; command: readonly string[] },
): Promise<number> {
  const tty = flags.tty === true ? findTty() : undefined;
  const request = { ...execRequest(flags, command), tty };
  const client = await ctx.client();
  using view = createProgressView({ quiet: true });
  return await attach(client.exec(vm, request, outputListener(view)), { tty, stdin: flags.stdin, view });
}

async function detach(
  ctx: CliContext,
  vm: string,
  { flags, command }: { flags: ExecFlags; command: readonly string[] },
): Promise<void> {
  const client = await ctx.client();
  ctx.print((await client.execDetached(vm, execRequest(flags, command))).id);
}

async function join(ctx: CliContext, vm: string, id: string): Promise<number> {
  const client = await ctx.client();
  using view = createProgressView({ quiet: true });
  return await attach(client.attach(vm, id, outputListener(view)), { tty: undefined, stdin: false, view });
}

async function list(ctx: CliContext, vm: string): Promise<void> {
  const execs = await (await ctx.client()).execs(vm);
  const now = Date.now();
  const rows = execs.map((one) => [
    one.id,
    String(one.pid),
    one.running ? "running" : `exited ${one.exitCode ?? ""}`.trim(),
    `${formatDurationMs(Math.max(0, now - one.startedAt))} ago`,
    one.argv.join(" ").slice(0, 60),
  ]);
  ctx.print(renderTable(["ID", "PID", "STATE", "STARTED", "COMMAND"], rows));
}
