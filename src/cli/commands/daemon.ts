/** `daemon`: the process behind the commands. It starts by itself when it is needed. */
import { closeSync, openSync, readSync, statSync } from "node:fs";
import type { Command } from "commander";
import type { DaemonStatus } from "../../api/types/host.ts";
import { BangerError } from "../../model/errors.ts";
import { formatBytes, formatDurationMs } from "../../model/quantities.ts";
import type { CliContext } from "../context.ts";
import { EXIT } from "../exit-codes.ts";
import { daemonLogPath } from "../places.ts";
import { askDaemon, findDaemon, stopDaemon } from "../start-daemon.ts";

/** What `daemon logs` shows of the end of the log. */
const LOG_TAIL_BYTES = 256 * 1024;

export function defineDaemon(program: Command, ctx: CliContext): void {
  const daemon = program
    .command("daemon")
    .summary("the process behind the commands")
    .description("The process behind the commands; it starts by itself.");
  daemon
    .command("start")
    .description("start it, if it does not run")
    .action(async () => {
      ctx.print(render(await askDaemon(ctx.self)));
      ctx.remarkDaemon();
    });
  daemon
    .command("status")
    .description("say whether it runs; exit code 1 when not")
    .option("--json", "as JSON; null when it does not run")
    .action(async ({ json = false }: { json?: boolean }) => {
      const status = await (await findDaemon())?.daemonStatus();
      if (status === undefined) ctx.exitCode = EXIT.failure;
      if (json) ctx.printJson(status ?? null);
      else ctx.print(status === undefined ? "not running" : render(status));
      if (status !== undefined) ctx.remarkDaemon();
    });
  daemon
    .command("stop")
    .description("end it; running VMs live on")
    .action(async () => {
      ctx.print((await stopDaemon()) ? "stopped" : "not running");
    });
  daemon
    .command("restart")
    .description("end it and start it anew, as after an upgrade; running VMs live on")
    .action(async () => {
      await stopDaemon();
      ctx.print(render(await askDaemon(ctx.self)));
    });
  daemon
    .command("logs")
    .description("show the end of its log")
    .action(() => {
      ctx.write(readLog());
    });
}

function render(status: DaemonStatus): string {
  return [
    `running, pid ${status.pid}, for ${formatDurationMs(Date.now() - status.startedAt)}`,
    `version   ${status.version}`,
    `socket    ${status.socket}`,
    `state     ${status.stateDir}`,
    `VMs       ${status.vms}, ${status.running} running`,
    `memory    ${formatBytes(status.rssBytes)}`,
  ].join("\n");
}

/** The log is read from its files, so that it can be read when the daemon does not start. */
function readLog(): Buffer {
  const path = daemonLogPath(process.env);
  const newest = readEnd(path, LOG_TAIL_BYTES);
  // What was written before it was begun anew.
  const older = readEnd(`${path}.1`, LOG_TAIL_BYTES - (newest?.length ?? 0));
  if ((newest ?? older) === undefined) throw new BangerError("not_found", `there is no log ${path} yet`);
  return Buffer.concat([older ?? Buffer.alloc(0), newest ?? Buffer.alloc(0)]);
}

/** At most so many bytes of a file's end; undefined when it is not there. */
function readEnd(path: string, maxBytes: number): Buffer | undefined {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size === undefined) return undefined;
  const file = openSync(path, "r");
  try {
    const bytes = Buffer.alloc(Math.min(size, maxBytes));
    return bytes.subarray(0, readSync(file, bytes, 0, bytes.length, size - bytes.length));
  } finally {
    closeSync(file);
  }
}
