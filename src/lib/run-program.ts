/**
 * Runs programs of the host: argv arrays (never a shell), a bounded tail of what they said on stderr, and an
 * end that is always reached: an aborted program gets TERM, a grace, then KILL, together with everything in
 * its process group.
 */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import type { Readable, Writable } from "node:stream";
import { BangerError } from "../model/errors.ts";
import { LineTail } from "./line-tail.ts";

/** Captured stdout above this is an error (`internal`): a program that writes more is to be streamed. */
const STDOUT_LIMIT_BYTES = 16 * 1024 * 1024;
const DEFAULT_GRACE_MS = 2000;

/** How a program ended. Exactly one of `exitCode` and `signal` is set. */
export interface ProgramEnd {
  /** Base name of the program. */
  readonly program: string;
  readonly exitCode: number | undefined;
  readonly signal: string | undefined;
  /** The last lines of stderr, at most 4 KiB, without a final newline. */
  readonly stderrTail: string;
}

export interface ProgramOptions {
  /**
   * Added to this process's own environment, where undefined takes a variable away; `LC_ALL=C` is always set so that messages can be
   * recognised.
   */
  readonly env?: Readonly<Record<string, string | undefined>>;
  readonly cwd?: string;
  /**
   * Ends the program; the promise then rejects with the signal's reason if that is a BangerError, else
   * `cancelled`.
   */
  readonly signal?: AbortSignal;
  /** The time between TERM and KILL. */
  readonly graceMs?: number;
  /** Named in the cure when the program is missing; default: the program's own name. */
  readonly aptPackage?: string;
  /** Translates an end other than exit code 0; default is `internal` with the program's last words. */
  readonly failure?: (end: ProgramEnd) => BangerError;
  /** Called with each complete line of stderr, without its newline; must not throw. */
  readonly onStderrLine?: (line: string) => void;
}

/** `pipe` gives the caller a stream; a number is a file descriptor that stays the caller's. */
export type ProgramStdio = "pipe" | "ignore" | number;

export interface StartProgramOptions extends ProgramOptions {
  readonly stdin?: ProgramStdio;
  readonly stdout?: ProgramStdio;
}

/** A program that runs in its own session. Its streams are undefined unless asked for with `pipe`. */
export interface RunningProgram {
  readonly pid: number;
  readonly stdin: Writable | undefined;
  readonly stdout: Readable | undefined;
  /**
   * Resolves after exit code 0 and the end of its streams; a stdout pipe that nobody reads holds it back.
   * Rejects with what `failure` makes of any other end. Never an unhandled rejection.
   */
  readonly done: Promise<ProgramEnd>;
  /** TERM, grace, KILL; resolves when the program is gone. Safe to repeat. */
  stop(): Promise<void>;
}

export interface RunProgramOptions extends ProgramOptions {
  /**
   * What is fed to the program; a chunk may change when the next is asked for. A source that throws ends the program, and its error is what the caller sees.
   */
  readonly stdin?: Uint8Array | AsyncIterable<Uint8Array>;
  /** `capture` (the default, at most 16 MiB), `ignore`, or a file descriptor. */
  readonly stdout?: "capture" | "ignore" | number;
}

export interface ProgramResult {
  /** What was captured; empty unless `stdout` was `capture`. */
  readonly stdout: Uint8Array;
  readonly stderrTail: string;
}

/**
 * Runs a program to its end. Errors: `unavailable` (not installed), `cancelled`, or what `failure` makes of
 * its end.
 */
export async function runProgram(
  argv: readonly [string, ...string[]],
  options: RunProgramOptions = {},
): Promise<ProgramResult> {
  const { stdin, stdout = "capture", ...rest } = options;
  const program = startProgram(argv, {
    ...rest,
    stdin: stdin === undefined ? "ignore" : "pipe",
    stdout: stdout === "capture" ? "pipe" : stdout,
  });
  try {
    const [captured, , end] = await Promise.all([
      program.stdout === undefined ? new Uint8Array(0) : capture(program.stdout, argv[0]),
      program.stdin === undefined || stdin === undefined ? undefined : feed(program, program.stdin, stdin),
      program.done,
    ]);
    return { stdout: captured, stderrTail: end.stderrTail };
  } finally {
    await program.stop();
  }
}

/**
 * Starts a program and hands out its streams. The caller reads or feeds them and awaits `done`.
 * Errors: `unavailable` (not installed), `cancelled` (the signal had been aborted before).
 */
export function startProgram(
  argv: readonly [string, ...string[]],
  options: StartProgramOptions = {},
): RunningProgram {
  const [name, ...args] = argv;
  if (options.signal?.aborted === true) throw abortError(options.signal);
  const path = findProgram(name);
  if (path === undefined) throw missingProgram(name, options.aptPackage);
  const child = spawn(path, args, {
    // Its own session: a signal to the process group reaches its children and never us.
    detached: true,
    stdio: [options.stdin ?? "ignore", options.stdout ?? "ignore", "pipe"],
    env: { ...process.env, ...options.env, LC_ALL: "C" },
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  return superviseProgram(child, path.slice(path.lastIndexOf("/") + 1), options);
}

/**
 * The absolute path of an installed program, or undefined. An ordinary user's PATH often lacks sbin, so that
 * is searched too.
 */
export function findProgram(name: string): string | undefined {
  const path = `${process.env["PATH"] ?? "/usr/local/bin:/usr/bin:/bin"}:/usr/local/sbin:/usr/sbin:/sbin`;
  return Bun.which(name, { PATH: path }) ?? undefined;
}

function missingProgram(name: string, aptPackage: string = name): BangerError {
  return new BangerError("unavailable", `the program ${name} is not installed`, {
    cure: `apt-get install ${aptPackage}`,
    details: { program: name, aptPackage },
  });
}

function superviseProgram(child: ChildProcess, program: string, options: ProgramOptions): RunningProgram {
  const tail = new LineTail(options.onStderrLine);
  child.stderr?.on("data", (chunk: Uint8Array) => tail.push(chunk));
  let gone = false;
  let killTimer: ReturnType<typeof setTimeout> | undefined;
  const stopping = (): void => {
    if (gone || killTimer !== undefined) return;
    signalGroup(child, "SIGTERM");
    killTimer = setTimeout(() => {
      signalGroup(child, "SIGKILL");
      // A grandchild in a session of its own may hold our pipes for ever; let go of them.
      for (const stream of child.stdio) stream?.destroy();
    }, options.graceMs ?? DEFAULT_GRACE_MS);
  };
  options.signal?.addEventListener("abort", stopping, { once: true });

  const ended = new Promise<ProgramEnd>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code, signal) => {
      resolve({
        program,
        exitCode: code ?? undefined,
        signal: signal ?? undefined,
        stderrTail: tail.end(),
      });
    });
  }).finally(() => {
    gone = true;
    clearTimeout(killTimer);
    options.signal?.removeEventListener("abort", stopping);
    if (killTimer !== undefined) signalGroup(child, "SIGKILL");
  });

  const done = ended.then((end) => {
    if (options.signal?.aborted === true) throw abortError(options.signal);
    if (end.exitCode === 0) return end;
    throw (options.failure ?? programFailure)(end);
  });
  // The caller awaits `done` when it gets there; until then a failure must not count as unhandled.
  const settled = done.then(noop, noop);
  child.stdin?.on("error", noop); // EPIPE: the program's own end says why it stopped reading.
  return {
    pid: child.pid ?? 0,
    stdin: child.stdin ?? undefined,
    stdout: child.stdout ?? undefined,
    done,
    async stop() {
      stopping();
      await settled;
    },
  };
}

/** The default translation of a failed program: `internal`, with its last words. */
export function programFailure(end: ProgramEnd): BangerError {
  const how = end.signal === undefined ? `exit code ${end.exitCode}` : `killed by ${end.signal}`;
  const words = end.stderrTail === "" ? "" : `: ${end.stderrTail}`;
  return new BangerError("internal", `${end.program} failed (${how})${words}`, { details: { ...end } });
}

/** What an aborted operation rejects with: the signal's own reason when it is ours, else `cancelled`. */
export function abortError(signal: AbortSignal): BangerError {
  const reason: unknown = signal.reason;
  if (reason instanceof BangerError) return reason;
  return new BangerError("cancelled", "the operation was cancelled", { cause: reason });
}

function signalGroup(child: ChildProcess, signal: "SIGTERM" | "SIGKILL"): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, signal);
  } catch (error) {
    // ESRCH: all of the group is gone, which is what was wanted.
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

async function capture(stdout: Readable, program: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stdout as AsyncIterable<Uint8Array>) {
    size += chunk.byteLength;
    if (size > STDOUT_LIMIT_BYTES) {
      throw new BangerError("internal", `${program} wrote more than ${STDOUT_LIMIT_BYTES} bytes`);
    }
    chunks.push(chunk);
  }
  return Buffer.concat(chunks, size);
}

/**
 * Writes the source into the program, and asks for a chunk when the one before has been taken. A program that stops reading and yet succeeds has
 * had enough: the rest of the source is read to its end all the same, because the source may still have an
 * error to tell.
 */
async function feed(
  program: RunningProgram,
  stdin: Writable,
  source: Uint8Array | AsyncIterable<Uint8Array>,
): Promise<void> {
  let closed = false;
  const closing = once(stdin, "close").then(noop, noop);
  void closing.then(() => {
    closed = true;
  });
  const chunks = source instanceof Uint8Array ? single(source) : source;
  for await (const chunk of chunks) {
    if (closed) await program.done;
    else
      await Promise.race([new Promise<void>((resolve) => void stdin.write(chunk, () => resolve())), closing]);
  }
  if (!closed) stdin.end();
}

async function* single(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function noop(): void {}
