/** Joins a command in a guest to this terminal: input, output, signals, size; and leaves the terminal as it was. */
import type { Tty } from "../api/types/exec.ts";
import { BangerError } from "../model/errors.ts";
import type { Command, CommandListener, Exit } from "../sdk/command.ts";
import { EXIT, exitCodeOfCommand } from "./exit-codes.ts";
import { stderr, stdout, writeOutput } from "./output.ts";
import { renderError } from "./render/error.ts";
import type { ProgressView } from "./render/progress.ts";
import type { KeyAction, KeyOptions } from "./terminal/keys.ts";
import type { TerminalMode } from "./terminal/mode.ts";

export interface AttachOptions {
  readonly tty: Tty | undefined;
  /** Forward stdin; else the command gets an empty one. */
  readonly stdin: boolean;
  readonly view: ProgressView;
  /** Keys that are for banger; absent: none. Of a terminal only. */
  readonly keys?: KeyOptions | undefined;
  /** The command line that joins a command of this id again. */
  readonly rejoin?: (id: string) => string;
}

/** The terminal's size and kind, when both ends of it are ours. */
export function findTty(): Tty | undefined {
  if (!process.stdin.isTTY || !stdout().isTTY) return undefined;
  const term = process.env["TERM"] ?? "";
  return {
    ...sizeOfTerminal(),
    term: /^[A-Za-z0-9._+-]{1,64}$/.test(term) ? term : "xterm",
  };
}

/** Of the terminal on stdout. */
export function sizeOfTerminal(): { readonly cols: number; readonly rows: number } {
  return { cols: stdout().columns || 80, rows: stdout().rows || 24 };
}

/** Where the output goes. */
export function outputListener(view: ProgressView): CommandListener {
  return {
    onProgress: (line) => view.onProgress(line),
    onStdout: async (bytes) => await write(1, bytes),
    onStderr: async (bytes) => {
      // What prepares a workspace writes before the command starts.
      view.done();
      await write(2, bytes);
    },
  };
}

/** Runs the command to its end, or until it is left, and returns the exit code of banger. */
export async function attach(command: Command, options: AttachOptions): Promise<number> {
  const release = forwardSignals(command, options);
  // A reader that went away (`banger exec vm -- yes | head`) ends the command, silently, as SIGPIPE would.
  let readerGone = false;
  const onPipe = (error: NodeJS.ErrnoException): void => {
    if (!isReaderGone(error)) return;
    readerGone = true;
    void command.cancel();
  };
  for (const stream of [stdout(), stderr()]) stream.on("error", onPipe);
  const input = new Input(command, options);
  void command.started.then(
    async () => {
      options.view.done();
      await input.start();
    },
    () => undefined,
  );
  try {
    const exit = await command.exit;
    input.stop();
    return exitCode(exit, options);
  } catch (thrown) {
    input.stop();
    const error = BangerError.from(thrown);
    if (readerGone) return EXIT.readerGone;
    options.view.done();
    if (error.code === "cancelled" && input.disconnected) return EXIT.ownFailure;
    void writeOutput(2, `${renderError(error)}\n`);
    return exitCodeOfCommand(error);
  } finally {
    options.view.done();
    process.stdin.pause();
    for (const stream of [stdout(), stderr()]) stream.off("error", onPipe);
    release();
  }
}

function exitCode(exit: Exit | undefined, options: AttachOptions): number {
  if (exit?.timedOut === true) void writeOutput(2, "banger: the command ran out of time and was killed\n");
  if (exit?.detached !== undefined) {
    const words = options.rejoin?.(exit.detached) ?? exit.detached;
    void writeOutput(2, `\nbanger: it goes on; join it again with: ${words}\n`);
  }
  return exit?.exitCode ?? 0;
}

/** The way in: what is typed or piped, the terminal's mode and its size. */
class Input {
  readonly #command: Command;
  readonly #options: AttachOptions;
  readonly #onResize = (): void => this.#command.resize(sizeOfTerminal());
  #terminal: TerminalMode | undefined;
  #over = false;
  /** The user has ended the connection by a key. */
  disconnected = false;

  constructor(command: Command, options: AttachOptions) {
    this.#command = command;
    this.#options = options;
  }

  async start(): Promise<void> {
    const { tty, stdin, keys } = this.#options;
    if (tty === undefined) {
      if (this.#over) return;
      if (stdin) void this.#forward((bytes) => this.#command.write(bytes));
      else void this.#command.end();
      return;
    }
    const [{ takeTerminal }, { KeyWatch }] = await Promise.all([
      import("./terminal/mode.ts"),
      import("./terminal/keys.ts"),
    ]);
    // It has ended meanwhile.
    if (this.#over) return;
    this.#terminal = takeTerminal();
    stdout().on("resize", this.#onResize);
    if (!stdin) {
      await this.#command.end();
      return;
    }
    const watch = new KeyWatch(keys ?? { detachKeys: new Uint8Array(0), escapes: false });
    void this.#forward(async (bytes) => {
      for (const action of watch.feed(bytes)) await this.#act(action);
    });
  }

  /** Puts the terminal back. Safe to repeat. */
  stop(): void {
    this.#over = true;
    stdout().off("resize", this.#onResize);
    this.#terminal?.[Symbol.dispose]();
    this.#terminal = undefined;
  }

  async #act(action: KeyAction): Promise<void> {
    switch (action.kind) {
      case "send":
        return await this.#command.write(action.bytes);
      case "detach":
        return this.#command.detach();
      case "disconnect":
        this.disconnected = true;
        return void this.#command.cancel();
      case "suspend":
        return this.#terminal?.suspend();
      case "help":
        return void (await writeOutput(2, `\r\n${(await import("./terminal/keys.ts")).ESCAPE_HELP}`));
    }
  }

  /** A write waits for the guest's credit, so that a slow command slows its own input. */
  async #forward(take: (bytes: Uint8Array) => Promise<void>): Promise<void> {
    try {
      for await (const chunk of process.stdin) await take(chunk as Uint8Array);
    } catch (error) {
      // A terminal that is gone (EIO), a directory as stdin (EISDIR): the command has all the input that there will be.
      if (!this.#over) {
        const words = error instanceof Error ? error.message : String(error);
        void writeOutput(2, `banger: cannot read stdin: ${words}\n`);
      }
    }
    // The command may have ended meanwhile, and nobody is left to take the end of its input.
    await this.#command.end().catch(() => undefined);
  }
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

/**
 * A reader that is gone is the error event's business; the output is dropped. Errors: any other reason why it cannot be written, such as a
 * full disk, which ends the command.
 */
async function write(fd: 1 | 2, bytes: Uint8Array): Promise<void> {
  const error = await writeOutput(fd, bytes);
  if (error === undefined || isReaderGone(error)) return;
  throw new BangerError(
    BangerError.from(error).code,
    `cannot write to ${fd === 1 ? "stdout" : "stderr"}: ${error.message}`,
    { cause: error },
  );
}

/** Of a pipe, a socket or a terminal. */
function isReaderGone({ code = "" }: NodeJS.ErrnoException): boolean {
  return ["EPIPE", "ECONNRESET", "EIO"].includes(code);
}
