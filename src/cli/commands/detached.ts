/** Commands that belong to no terminal: begun with `exec -d`, listed with `exec ls`, joined with `exec --attach`. */
import { BangerError } from "../../model/errors.ts";
import { formatDurationMs } from "../../model/quantities.ts";
import { attach, findTty, outputListener } from "../attach.ts";
import type { CliContext } from "../context.ts";
import { createProgressView } from "../render/progress.ts";
import { renderTable } from "../render/table.ts";
import { syncFirst } from "../sync-first.ts";
import { execRequest, keyOptions, type LiveExecFlags } from "./exec-flags.ts";
import { firstGiven } from "./given.ts";

export interface DetachedFlags extends LiveExecFlags {
  readonly detach?: boolean;
}

/** Starts one, and prints its id. Errors: `invalid_argument` for flags that it cannot have, those of the daemon. */
export async function startDetached(
  ctx: CliContext,
  vm: string,
  { flags, command }: { flags: LiveExecFlags; command: readonly string[] },
): Promise<void> {
  refuseToDetachWith(flags);
  const request = execRequest(flags, command);
  const client = await ctx.client();
  if (flags.sync === true) await syncFirst(ctx, client, vm);
  ctx.print((await client.execDetached(vm, request)).id);
}

/**
 * A command on a terminal is joined with ours, if there is one; any other is only listened to. Returns the exit
 * code of banger. Errors: `invalid_argument` for what only a new command can be given.
 */
export async function joinDetached(
  ctx: CliContext,
  vm: string,
  { id, words, flags }: { id: string; words: readonly string[]; flags: DetachedFlags },
): Promise<number> {
  refuseToJoinWith(flags, words);
  const client = await ctx.client();
  const found = (await client.execs(vm)).find((one) => one.id === id);
  const tty = found?.tty === true ? findTty() : undefined;
  const keys = await keyOptions(flags, { escapes: false, client: tty === undefined ? undefined : client });
  using view = createProgressView({ quiet: true });
  const command = client.attach(vm, id, outputListener(view));
  if (tty !== undefined) {
    // Two sizes, so that a program that fills the screen draws it anew.
    command.started.then(
      () => {
        command.resize({ cols: tty.cols, rows: Math.max(1, tty.rows - 1) });
        command.resize({ cols: tty.cols, rows: tty.rows });
      },
      () => undefined,
    );
  }
  return await attach(command, {
    tty,
    stdin: tty !== undefined && flags.stdin,
    view,
    keys,
    rejoin: (other) => rejoinWords(vm, other),
  });
}

/** What stands behind `exec ls`: one VM, and `--json` on either side of it. Undefined: these words are a command for a VM called ls. */
export function parseListing(
  words: readonly string[],
): { readonly vm: string; readonly json: boolean } | undefined {
  const [vm, ...more] = words.filter((word) => word !== "--json");
  if (vm === undefined || vm === "--" || more.length > 0) return undefined;
  return { vm, json: words.length > 1 };
}

export async function listDetached(
  ctx: CliContext,
  vm: string,
  { json }: { readonly json: boolean },
): Promise<void> {
  ctx.quiet = json;
  const execs = await (await ctx.client()).execs(vm);
  if (json) return ctx.printJson(execs);
  const now = Date.now();
  const rows = execs.map((one) => [
    one.id,
    String(one.pid),
    one.running ? "running" : `exited ${one.exitCode ?? ""}`.trim(),
    `${formatDurationMs(Math.max(0, now - one.startedAt))} ago`,
    one.argv.join(" ").slice(0, 60),
  ]);
  return ctx.print(renderTable(["ID", "PID", "STATE", "STARTED", "COMMAND"], rows));
}

/** The command line that joins a command again. */
export function rejoinWords(vm: string, id: string): string {
  return `banger exec --attach ${id} ${vm}`;
}

/** Nothing that is asked for is left undone. Errors: `invalid_argument`. */
function refuseToJoinWith(flags: DetachedFlags, words: readonly string[]): void {
  const culprit = firstGiven({
    "-d": flags.detach,
    "-e": flags.env[0],
    "-w": flags.workdir,
    "-u": flags.user,
    "--timeout": flags.timeout,
    "-A": flags.forwardAgent,
    "--sync": flags.sync,
    "a command": words[0],
  });
  if (culprit === undefined) return;
  throw new BangerError(
    "invalid_argument",
    `--attach joins a command that runs already, and takes no ${culprit}`,
    {
      cure: "give it when the command is started",
      details: { field: "attach" },
    },
  );
}

/** What a terminal or this process would have to stay for. Errors: `invalid_argument`. */
function refuseToDetachWith(flags: LiveExecFlags): void {
  const culprit = firstGiven({
    "-t": flags.tty,
    "-A": flags.forwardAgent,
    "--detach-keys": flags.detachKeys,
  });
  if (culprit === undefined) return;
  throw new BangerError("invalid_argument", `a command of -d runs by itself, and takes no ${culprit}`, {
    cure:
      culprit === "-A"
        ? "leave -d out: your ssh-agent is only there as long as the command is joined"
        : "start it without -d, and leave it with ctrl-p ctrl-q",
    details: { field: "detach" },
  });
}
