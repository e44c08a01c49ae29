/** Joins a command in a guest to this terminal: input, output, signals, size; and leaves the terminal as it was. */
import type { Tty } from "../api/types.ts";
import { BangerError } from "../model/errors.ts";
import type { Command, CommandListener, Exit } from "../sdk/command.ts";
import { EXIT, exitCodeOfCommand } from "./exit-codes.ts";
import { stderr, stdout, writeOutput } from "./output.ts";
import { renderError } from "./render/error.ts";
import type { ProgressView } from "./render/progress.ts";

export interface AttachOptions {
  readonly tty: Tty | undefined;
  /** Forward stdin; else the command gets an empty one. */
  readonly stdin: boolean;
  readonly view: ProgressView;
}

/** The terminal's size and kind, when both ends of it are ours. */
export function findTty(): Tty | undefined {
  if (!process.stdin.isTTY || !stdout().isTTY) return undefined;
  const term = process.env["TERM"] ?? "";
  return {
    cols: stdout().columns || 80,
    rows: stdout().rows || 24,
    term: /^[A-Za-z0-9._+-]{1,64}$/.test(term) ? term : "xterm",
  };
}

/** Where the output goes. */
export function outputListener(view: ProgressView): CommandListener {
  return {
    onProgress: (line) => view.onProgress(line),
    onStdout: async (bytes) => await write(1, bytes),
    onStderr: async (bytes) => await write(2, bytes),
  };
}

/** Runs the command to its end and returns the exit code of banger. */
export async function attach(command: Command, options: AttachOptions): Promise<number> {
  const release = forwardSignals(command, options);
  // A reader that went away (`banger exec vm -- yes | head`) ends the command, silently, as SIGPIPE would.
  let readerGone = false;
  const onPipe = (): void => {
    readerGone = true;
    void command.cancel();
  };
  for (const stream of [stdout(), stderr()]) stream.on("error", onPipe);
  let ended = false;
  void command.started.then(
    () => {
      options.view.done();
      if (!ended) startInput(command, options);
    },
    () => undefined,
  );
  try {
    return exitCode(await command.exit);
  } catch (thrown) {
    const error = BangerError.from(thrown);
    if (readerGone) return EXIT.readerGone;
    options.view.done();
    void writeOutput(2, `${renderError(error)}\n`);
    return exitCodeOfCommand(error);
  } finally {
    ended = true;
    options.view.done();
    if (process.stdin.isTTY && options.tty !== undefined) process.stdin.setRawMode(false);
    process.stdin.pause();
    for (const stream of [stdout(), stderr()]) stream.off("error", onPipe);
    release();
  }
}

function exitCode(exit: Exit | undefined): number {
  if (exit?.timedOut === true) void writeOutput(2, "banger: the command ran out of time and was killed\n");
  return exit?.exitCode ?? 0;
}

function startInput(command: Command, options: AttachOptions): void {
  if (options.tty !== undefined) {
    process.stdin.setRawMode(true);
    stdout().on("resize", () => {
      command.resize({ cols: stdout().columns || 80, rows: stdout().rows || 24 });
    });
  }
  if (!options.stdin) {
    void command.end();
    return;
  }
  void forwardInput(command);
}

/** A write waits for the guest's credit, so that a slow command slows its own input. */
async function forwardInput(command: Command): Promise<void> {
  try {
    for await (const chunk of process.stdin) await command.write(chunk as Uint8Array);
  } catch (error) {
    // A terminal that is gone (EIO), a directory as stdin (EISDIR): the command has all the input that there will be.
    void writeOutput(
      2,
      `banger: cannot read stdin: ${error instanceof Error ? error.message : String(error)}\n`,
    );
  }
  // The command may have ended meanwhile, and nobody is left to take the end of its input.
  await command.end().catch(() => undefined);
}

/**
 * Signals reach the command; before it runs, and at the second time, they give up, which undoes a start under way. In raw
 * mode ^C is a byte for the guest and no signal comes.
 */
function forwardSignals(command: Command, options: AttachOptions): () => void {
  let running = false;
  let asked = 0;
  void command.started.then(
    () => {
      running = true;
    },
    () => undefined,
  );
  const handlers = (["SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT"] as const).map((name) => {
    const handler = (): void => {
      asked += 1;
      // Whoever asks three times does not want to wait for the daemon either.
      if (asked > 2) process.exit(EXIT.interrupted);
      if (running && asked === 1 && name !== "SIGHUP") command.signal(name.slice(3));
      else {
        options.view.done();
        void command.cancel();
      }
    };
    process.on(name, handler);
    return () => process.off(name, handler);
  });
  return () => {
    for (const off of handlers) off();
  };
}

/** A reader that is gone is the error event's business; the output is dropped. */
async function write(fd: 1 | 2, bytes: Uint8Array): Promise<void> {
  await writeOutput(fd, bytes);
}
