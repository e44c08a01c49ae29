/**
 * A hypervisor as a process: spawned in its own session so that it outlives the daemon, or taken over from an earlier
 * one. Knows nothing of any hypervisor.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, constants, openSync } from "node:fs";
import { lastLines, readTail } from "../lib/file-tail.ts";
import { inNetns } from "../lib/netns.ts";
import { settledArguments } from "../lib/process-arguments.ts";
import { identifyProcess, type ProcessHandle } from "../lib/process-identity.ts";
import { watchProcess } from "../lib/process-watch.ts";
import { settlesWithin } from "../lib/settles-within.ts";
import { BangerError } from "../model/errors.ts";
import type { MachineStats, ProcessExit } from "./port.ts";
import { readProcessStats } from "./process-stats.ts";

const STDERR_TAIL_BYTES = 4096;
const STDERR_TAIL_LINES = 40;
/** A process that is ending takes some milliseconds; one that hangs in the kernel is not waited for. */
const ENDING_MS = 2_000;
const DEFAULT_GRACE_MS = 2000;
const APPEND_FLAGS = constants.O_WRONLY | constants.O_CREAT | constants.O_APPEND;

type Signal = "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT";

export interface SpawnRequest {
  /** Absolute path. */
  readonly program: string;
  readonly args: readonly string[];
  /** What the process calls itself; default: the program's path. */
  readonly argv0?: string;
  /** Gets stdout and stderr; made with mode 0600, and emptied of what an earlier run said. */
  readonly logPath: string;
  /** Gets stdout in place of the log: appended to, and made with mode 0600. */
  readonly stdoutPath?: string;
  /** Default: `/`. */
  readonly cwd?: string;
  /** The network namespace that it runs in, as a path; default: ours. */
  readonly netns?: string | undefined;
  /** Descriptors that the process gets as 3, 4, …; they stay the caller's here. */
  readonly inherit: readonly number[];
}

export interface HypervisorProcess {
  readonly handle: ProcessHandle;
  /** Settles once, never rejects. */
  readonly exited: Promise<ProcessExit>;
  /** False when the process has ended. */
  signal(name: Signal): boolean;
  /** As `Running.kill`. */
  kill(options?: { readonly graceMs?: number }): Promise<void>;
  /** As `Running.stats`. */
  stats(): Promise<MachineStats>;
}

/**
 * Starts the process with stdin from /dev/null and a minimal environment. It survives us: own session (no
 * terminal, no signals to our group), its output in a file. Errors: `unavailable` (it could not be started at all).
 */
export async function spawnHypervisor(request: SpawnRequest): Promise<HypervisorProcess> {
  using files = new DisposableStack();
  const open = (path: string, flags: number): number =>
    files.adopt(openSync(path, flags, 0o600), (fd) => closeSync(fd));
  const log = open(request.logPath, APPEND_FLAGS | constants.O_TRUNC);
  const stdout = request.stdoutPath === undefined ? log : open(request.stdoutPath, APPEND_FLAGS);
  const launch = (): ChildProcess =>
    spawn(request.program, [...request.args], {
      detached: true,
      stdio: ["ignore", stdout, log, ...request.inherit],
      cwd: request.cwd ?? "/",
      env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin", LC_ALL: "C" },
      ...(request.argv0 === undefined ? {} : { argv0: request.argv0 }),
    });
  const child = request.netns === undefined ? launch() : inNetns(request.netns, launch);
  if (child.pid === undefined) {
    const [cause] = (await once(child, "error")) as [unknown];
    throw new BangerError("unavailable", `cannot start ${request.program}`, { cause });
  }
  child.unref();
  const ended = endOf(child);
  // One that has ended already has no identity any more; this handle matches no process, and `exited` tells the rest.
  const handle = identifyProcess(child.pid) ?? { pid: child.pid, startTicks: 0, bootId: "" };
  // vfork(2) lets us go on before its execve(2) is over; until then nobody could recognise the process.
  await settledArguments(handle);
  const exited = ended.then(async (end) => ({
    ...end,
    stderrTail: await lastWords(request.logPath),
  }));
  return createProcess({ handle, exited, signal: (name) => child.kill(name) });
}

export interface AdoptRequest {
  readonly handle: ProcessHandle;
  /** An argument that the process must have. */
  readonly marker: string;
  readonly logPath: string;
}

/** Takes over a process; undefined when it has ended or is not the one that was meant. */
export async function adoptHypervisor(request: AdoptRequest): Promise<HypervisorProcess | undefined> {
  const { handle } = request;
  const watch = await watchProcess(handle);
  if (watch === undefined) return undefined;
  const commandLine = await settledArguments(handle);
  // One that ends has lost its command line first; what it holds otherwise is free only when it is gone.
  if (commandLine.length === 0) await settlesWithin(watch.ended, ENDING_MS);
  if (!commandLine.includes(request.marker)) {
    watch.release();
    return undefined;
  }
  const exited = watch.ended.then(async () => ({
    code: undefined,
    signal: undefined,
    stderrTail: await lastWords(request.logPath),
  }));
  return createProcess({ handle, exited, signal: (name) => watch.signal(name) });
}

function createProcess(parts: Pick<HypervisorProcess, "handle" | "exited" | "signal">): HypervisorProcess {
  const { handle, exited, signal } = parts;
  return {
    ...parts,
    async kill(options = {}) {
      const graceMs = options.graceMs ?? DEFAULT_GRACE_MS;
      if (graceMs > 0 && signal("SIGTERM")) {
        // A stopped process sees its TERM only once it continues.
        signal("SIGCONT");
        if (await settlesWithin(exited, graceMs)) return;
      }
      signal("SIGKILL");
      await exited;
    },
    async stats() {
      return readProcessStats(handle);
    },
  };
}

function endOf(child: ChildProcess): Promise<Pick<ProcessExit, "code" | "signal">> {
  return new Promise((resolve) => {
    child.once("exit", (code, signal) => resolve({ code: code ?? undefined, signal: signal ?? undefined }));
  });
}

/** What is wrong with a hypervisor, as people call it, that ended before it was ready. */
export function endedAtOnce(name: string, exit: ProcessExit): BangerError {
  const how = exit.signal ?? `status ${exit.code}`;
  const words = exit.stderrTail === "" ? "" : `: ${exit.stderrTail}`;
  return new BangerError("unavailable", `${name} ended at once (${how})${words}`, { details: { ...exit } });
}

/** The log may be gone with its directory, and `exited` must not reject for it. */
async function lastWords(logPath: string): Promise<string> {
  try {
    return lastLines(await readTail(logPath, STDERR_TAIL_BYTES), STDERR_TAIL_LINES).join("\n");
  } catch (error) {
    return `(cannot read ${logPath}: ${BangerError.from(error).message})`;
  }
}
