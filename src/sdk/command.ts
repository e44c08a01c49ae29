/** A command in a guest, seen by the client: input with back-pressure, output, and how it ended. */
import type { ExecClientMessage, ExecServerMessage } from "../api/types/exec.ts";
import type { ProgressLine } from "../api/types/progress.ts";
import type { Vm } from "../api/types/vms.ts";
import { createDeferred, type Deferred } from "../lib/deferred.ts";
import { BangerError } from "../model/errors.ts";
import { connectionLost } from "./answers.ts";
import type { Socket, SocketListener, Transport } from "./transport.ts";

/** stdin that may be under way: a protocol constant (WINDOW). */
const WINDOW = 262_144;
/**
 * Credit for output is returned in lumps of at least this. What is owed is always less than the window, so that the guest can go on, and a
 * key's echo costs no message back.
 */
const CREDIT_LUMP = 65_536;

export interface Exit {
  /** 0–255; 128 + n for signal n, as a shell says it. */
  readonly exitCode: number;
  /** Without `SIG`; absent when the command exited by itself. */
  readonly signal?: string;
  /** The signal came from the command's own time limit. */
  readonly timedOut: boolean;
  /** The command goes on without this client; the id is for `Client.attach`. */
  readonly detached?: string;
}

/**
 * Where a command's output and news go. Output waits for the promise that a handler returns; when one throws, the command is cancelled, and
 * `exit` rejects with what was thrown.
 */
export interface CommandListener {
  onStdout?(bytes: Uint8Array): void | Promise<void>;
  onStderr?(bytes: Uint8Array): void | Promise<void>;
  onProgress?(line: ProgressLine): void;
  /** `run` only: the VM is up. */
  onReady?(vm: Vm): void;
}

export class Command {
  /** The command runs; rejects when it could not be started. */
  readonly started: Promise<void>;
  /**
   * How it ended; `undefined` for a run without a command. Rejects with the daemon's error: `guest_error` with `details.guestCode`
   * `command_not_found` or `command_not_executable`, `unavailable` when the connection was lost, and those of start.
   */
  readonly exit: Promise<Exit | undefined>;
  readonly #socket: Socket;
  readonly #listener: CommandListener;
  readonly #started = createDeferred<void>();
  readonly #exit = createDeferred<Exit | undefined>();
  readonly #consumed: Record<1 | 2, number> = { 1: 0, 2: 0 };
  /** Output in the order of its arrival: the next piece waits until the handler is done with the last. */
  #output: Promise<void> = Promise.resolve();
  /** What a handler of output threw. */
  #failure: { readonly error: unknown } | undefined;
  #credit = WINDOW;
  #creditWaiter: Deferred<void> | undefined;
  /** The daemon has heard what is to be done. */
  #asked = false;
  #running = false;
  /** The last size of the terminal, when it changed before the start. */
  #size: ExecClientMessage | undefined;
  #over = false;

  constructor(
    transport: Transport,
    path: string,
    options: { readonly first: ExecClientMessage; readonly listener: CommandListener },
  ) {
    this.started = this.#started.promise;
    this.exit = this.#exit.promise;
    // Whoever waits for one of the two need not look at the other.
    this.started.catch(() => undefined);
    this.exit.catch(() => undefined);
    this.#listener = options.listener;
    const listener: SocketListener = {
      onOpen: () => {
        this.#asked = true;
        this.#send(options.first);
      },
      onText: (text) => this.#receive(JSON.parse(text) as ExecServerMessage),
      onBytes: (bytes) => this.#receiveOutput(bytes),
      onClose: (reason) => this.#closed(reason),
    };
    this.#socket = transport.connect(path, listener);
  }

  /** Sends input; resolves when there is room for more. Input after the end of the command is dropped. */
  async write(bytes: Uint8Array): Promise<void> {
    await this.started;
    for (let at = 0; at < bytes.length; ) {
      while (this.#credit === 0 && !this.#over) {
        this.#creditWaiter ??= createDeferred();
        await this.#creditWaiter.promise;
      }
      if (this.#over) return;
      const piece = bytes.subarray(at, at + Math.min(this.#credit, CREDIT_LUMP));
      this.#credit -= piece.length;
      at += piece.length;
      this.#socket.send(piece);
    }
  }

  /** Ends the input. */
  async end(): Promise<void> {
    await this.started;
    this.#send({ type: "end" });
  }

  /** Sends a signal by its name without `SIG`; before the start it is dropped. */
  signal(signal: string): void {
    if (this.#running) this.#send({ type: "signal", signal });
  }

  /** Leaves the command running; `exit` then has its id. One that has just ended ends as ever; before the start it is dropped. */
  detach(): void {
    if (this.#running) this.#send({ type: "detach" });
  }

  /** Tells the size of the terminal; before the start it is kept until then. */
  resize(size: { readonly cols: number; readonly rows: number }): void {
    const message = { type: "resize", cols: size.cols, rows: size.rows } as const;
    if (this.#running) this.#send(message);
    else this.#size = message;
  }

  /**
   * Gives up: the command is killed, a start under way is undone, a run with `remove` deletes its VM. Resolves when the daemon
   * is done with that; `exit` then rejects with `cancelled`, unless the command had ended before. Safe to repeat.
   */
  async cancel(): Promise<void> {
    if (this.#asked) this.#send({ type: "cancel" });
    else this.#forgo();
    await this.exit.catch(() => undefined);
  }

  /** There is no connection yet: the daemon never hears of it. */
  #forgo(): void {
    const error = new BangerError("cancelled", "the command was cancelled before it began");
    this.#finish(() => this.#exit.reject(error), error);
    this.#socket.close();
  }

  #send(message: ExecClientMessage): void {
    if (!this.#over) this.#socket.send(JSON.stringify(message));
  }

  #receive(message: ExecServerMessage): void {
    switch (message.type) {
      case "progress":
        this.#listener.onProgress?.(message.progress);
        return;
      case "ready":
        this.#listener.onReady?.(message.vm);
        return;
      case "started":
        this.#running = true;
        if (this.#size !== undefined) this.#send(this.#size);
        this.#started.resolve();
        return;
      case "credit":
        this.#credit += message.bytes;
        this.#wakeWriter();
        return;
      case "exit": {
        const { exitCode, signal, timedOut = false } = message;
        this.#finish(() =>
          this.#exit.resolve({ exitCode, timedOut, ...(signal === undefined ? {} : { signal }) }),
        );
        return;
      }
      case "detached": {
        const { id } = message;
        this.#finish(() => this.#exit.resolve({ exitCode: 0, timedOut: false, detached: id }));
        return;
      }
      case "error": {
        const error = BangerError.fromBody(message.error);
        this.#finish(() => this.#exit.reject(error), error);
        return;
      }
    }
  }

  #receiveOutput(framed: Uint8Array): void {
    const channel = framed[0] === 2 ? 2 : 1;
    const bytes = framed.subarray(1);
    this.#output = this.#output.then(async () => {
      await this.#hand(channel, bytes);
      this.#consume(channel, bytes.length);
    });
  }

  /** Never rejects: where nobody takes the output any more, the command is given up. */
  async #hand(channel: 1 | 2, bytes: Uint8Array): Promise<void> {
    if (this.#failure !== undefined) return;
    try {
      await (channel === 1 ? this.#listener.onStdout?.(bytes) : this.#listener.onStderr?.(bytes));
    } catch (error) {
      this.#failure = { error };
      this.#send({ type: "cancel" });
    }
  }

  #consume(channel: 1 | 2, bytes: number): void {
    this.#consumed[channel] += bytes;
    const consumed = this.#consumed[channel];
    if (consumed < CREDIT_LUMP) return;
    this.#consumed[channel] = 0;
    this.#send({ type: "credit", channel, bytes: consumed });
  }

  #closed(reason: string): void {
    const error = connectionLost(reason);
    // A run without a command ends with a plain close (1000).
    if (reason === "code 1000") this.#finish(() => this.#exit.resolve(undefined), error);
    else this.#finish(() => this.#exit.reject(error), error);
  }

  /** The end: once, after all output has been consumed. */
  #finish(settle: () => void, startError?: BangerError): void {
    if (this.#over) return;
    this.#over = true;
    this.#wakeWriter();
    if (startError === undefined) this.#started.resolve();
    else this.#started.reject(startError);
    this.#output = this.#output.then(() => {
      if (this.#failure === undefined) settle();
      else this.#exit.reject(this.#failure.error);
    });
  }

  #wakeWriter(): void {
    this.#creditWaiter?.resolve();
    this.#creditWaiter = undefined;
  }
}
