/** `exec` and `shell`: a command in a VM that runs. */
import type { Command } from "commander";
import { BangerError } from "../../model/errors.ts";
import { validateVmRef } from "../../model/names.ts";
import type { Client } from "../../sdk/client.ts";
import { attach, findTty, outputListener } from "../attach.ts";
import type { CliContext } from "../context.ts";
import { writeOutput } from "../output.ts";
import { printableLine } from "../render/printable.ts";
import { createProgressView } from "../render/progress.ts";
import type { AgentForward } from "../ssh/agent.ts";
import { syncFirst } from "../sync-first.ts";
import {
  type DetachedFlags,
  joinDetached,
  listDetached,
  parseListing,
  rejoinWords,
  startDetached,
} from "./detached.ts";
import { addExecOptions, execRequest, keyOptions, type LiveExecFlags } from "./exec-flags.ts";

const AGENT_HELP = "let it use your ssh-agent while it runs";

export function defineExec(program: Command, ctx: CliContext): void {
  const exec = program
    .command("exec")
    .summary("run a command in a running VM")
    .description("Runs a command in a running VM. The exit code is the command's own.")
    .usage("[flags] VM [--] COMMAND...")
    .argument("<vm>", "name, id or id prefix")
    .argument("[command...]", "the program and its arguments")
    .passThroughOptions()
    .addHelpText(
      "after",
      `
Examples:
  banger exec web -- make -j4
  banger exec -u www-data -w /srv web -- ls -l
  banger exec -t web -- top
  banger exec --sync web -- make    with what is new in the work tree
  banger exec -d web -- make        print an id and let it run
  banger exec ls web                list such commands; with --json as JSON
  banger exec --attach ID web       join one; on a terminal with its input`,
    )
    .option("-d, --detach", "let it run by itself, and print its id")
    .option("--attach <id>", "join a detached command: its kept output, then live")
    .action(async (vm: string, words: string[], flags: DetachedFlags & { attach?: string }) => {
      const listing = vm === "ls" ? parseListing(words) : undefined;
      if (listing !== undefined) return await listDetached(ctx, validateVmRef(listing.vm), listing);
      if (flags.attach !== undefined) {
        ctx.exitCode = await joinDetached(ctx, validateVmRef(vm), { id: flags.attach, words, flags });
        return;
      }
      const command = words[0] === "--" ? words.slice(1) : words;
      if (command.length === 0) {
        throw new BangerError("invalid_argument", "exec needs a command", {
          cure: `write it behind --, such as: banger exec ${vm} -- uname -a; or open a shell with: banger shell ${vm}`,
          details: { field: "command" },
        });
      }
      if (flags.detach === true) return await startDetached(ctx, validateVmRef(vm), { flags, command });
      ctx.exitCode = await execIn(ctx, validateVmRef(vm), { flags, command });
    });
  addExecOptions(exec)
    .option("-A, --forward-agent", AGENT_HELP)
    .option("--sync", "first send what is new in the host's work tree");
  const shell = program
    .command("shell")
    .summary("open a shell in a running VM")
    .description(
      "Opens a shell in a running VM: bash where the image has it, else sh. ctrl-p ctrl-q leaves it running; at the start of a line " +
        "~? shows what else there is.",
    )
    .argument("<vm>", "name, id or id prefix")
    .addHelpText(
      "after",
      `
Examples:
  banger shell web
  banger shell -u app -w /srv web
  banger shell -A web                          with your ssh-agent
  banger shell --detach-keys ctrl-x,d web      other keys that leave it running
  banger shell --detach-keys "" web            none`,
    )
    .action(async (vm: string, flags: LiveExecFlags) => {
      ctx.exitCode = await execIn(ctx, validateVmRef(vm), {
        flags: { ...flags, tty: true, escapes: true },
        command: [],
      });
    });
  addExecOptions(shell)
    .option("-A, --forward-agent", AGENT_HELP)
    .option("--sync", "first send what is new in the host's work tree");
}

async function execIn(
  ctx: CliContext,
  vm: string,
  { flags, command }: { flags: LiveExecFlags; command: readonly string[] },
): Promise<number> {
  const tty = flags.tty === true ? findTty() : undefined;
  const request = { ...execRequest(flags, command), tty };
  const client = await ctx.client();
  if (flags.sync === true) await syncFirst(ctx, client, vm);
  await using stack = new AsyncDisposableStack();
  const agent = flags.forwardAgent === true ? stack.use(await openAgent(client, vm, flags.user)) : undefined;
  const keys = await keyOptions(flags, {
    escapes: flags.escapes === true,
    client: tty === undefined ? undefined : client,
  });
  const env = { ...request.env, ...(agent === undefined ? {} : { SSH_AUTH_SOCK: agent.path }) };
  using view = createProgressView({ quiet: true });
  const listener = outputListener(view);
  const running = client.exec(
    vm,
    { ...request, env },
    {
      ...listener,
      onProgress: (line) => {
        if (line.event !== "note") return;
        // A terminal that is raw does not go back to the left by itself.
        const end = tty === undefined ? "\n" : "\r\n";
        void writeOutput(2, `banger: ${printableLine(line.text)}${end}`);
      },
    },
  );
  return await attach(running, {
    tty,
    stdin: flags.stdin,
    view,
    keys,
    rejoin: (id) => rejoinWords(vm, id),
  });
}

async function openAgent(client: Client, vm: string, user: string | undefined): Promise<AgentForward> {
  const socket = process.env["SSH_AUTH_SOCK"];
  if (socket === undefined || socket === "") {
    throw new BangerError(
      "failed_precondition",
      "there is no ssh-agent to forward: SSH_AUTH_SOCK is not set",
      {
        cure: 'start one with: eval "$(ssh-agent)"; ssh-add',
      },
    );
  }
  const { forwardAgent } = await import("../ssh/agent.ts");
  return await forwardAgent(client.files(vm), { socket, user });
}
