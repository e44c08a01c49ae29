/** A stream to files or connections of a guest, seen by the client: data both ways, each at the other end's pace. */
import type { GuestStreamClientMessage, GuestStreamServerMessage } from "../api/types/guest-stream.ts";
import { createDeferred, type Deferred } from "../lib/deferred.ts";
import { BangerError } from "../model/errors.ts";
import type { GuestStreamMessage, GuestStreamRequest } from "../model/guest-stream.ts";
import { connectionLost } from "./answers.ts";
import type { Socket, Transport } from "./transport.ts";

/** Data that may be under way: a protocol constant (WINDOW). */
const WINDOW = 262_144;
/** Data of one message, and the least that is worth a message of credit. */
const PIECE = 65_536;

export interface GuestStreamOptions {
  /** Ends the stream; `result` rejects with `cancelled`. */
  readonly signal?: AbortSignal | undefined;
  readonly onMessage?: (message: GuestStreamMessage) => void;
}

export class GuestStream implements AsyncDisposable {
  /** The guest's answer at the end. Rejects with its error, or `unavailable` when the connection was lost. */
  readonly result: Promise<Readonly<Record<string, unknown>>>;
  readonly #socket: Socket;
  readonly #options: GuestStreamOptions;
  readonly #opened = createDeferred<void>();
  readonly #result = createDeferred<Readonly<Record<string, unknown>>>();
  readonly #queue: Uint8Array[] = [];
  #wakeReader: (() => void) | undefined;
  /** Those who wait to write. */
  #room: Deferred<void> | undefined;
  #credit = WINDOW;
  #consumed = 0;
  #ended = false;
  #over: { readonly error?: BangerError } | undefined;

  constructor(
    transport: Transport,
    path: string,
    { request, ...options }: GuestStreamOptions & { readonly request: GuestStreamRequest },
  ) {
    this.#options = options;
    this.result = this.#result.promise;
    // Whoever waits for one of the two need not look at the other.
    this.result.catch(() => undefined);
    this.#opened.promise.catch(() => undefined);
    this.#socket = transport.connect(path, {
      onOpen: () => this.#send({ type: "open", request }),
      onText: (text) => this.#receive(JSON.parse(text) as GuestStreamServerMessage),
      onBytes: (bytes) => {
        this.#queue.push(bytes);
        this.#wakeReader?.();
      },
      onClose: (reason) => this.#lost(reason),
    });
    options.signal?.addEventListener("abort", this.#abort, { once: true });
    if (options.signal?.aborted === true) this.#abort();
  }

  /** Sends data; resolves when there is room for more. After the end of the stream nothing is sent: `result` says why. */
  async write(bytes: Uint8Array): Promise<void> {
    if (this.#over === undefined) await this.#opened.promise.catch(() => undefined);
    for (let at = 0; at < bytes.length && this.#over === undefined; ) {
      if (this.#credit === 0) {
        this.#room ??= createDeferred();
        await this.#room.promise;
        continue;
      }
      const piece = bytes.subarray(at, at + Math.min(this.#credit, PIECE));
      this.#credit -= piece.length;
      at += piece.length;
      this.#socket.send(piece);
    }
  }

  /** Whether the stream has ended, and nothing more need be written. */
  get over(): boolean {
    return this.#over !== undefined;
  }

  /** Says that there is no more data. */
  async end(): Promise<void> {
    await this.#opened.promise.catch(() => undefined);
    this.#send({ type: "end" });
  }

  /** The guest's data up to its end. Once only. Errors: those of `result`. */
  async *data(): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const piece = this.#queue.shift();
      if (piece !== undefined) {
        yield piece;
        this.#consume(piece.length);
      } else if (this.#ended) return;
      else if (this.#over?.error !== undefined) throw this.#over.error;
      else if (this.#over !== undefined) return;
      else {
        await new Promise<void>((resolve) => {
          this.#wakeReader = resolve;
        });
      }
    }
  }

  /** Gives the stream up. Safe to repeat. */
  cancel(): void {
    this.#finish(new BangerError("cancelled", "the transfer was cancelled"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cancel();
    await this.result.catch(() => undefined);
  }

  readonly #abort = (): void => this.cancel();

  #consume(bytes: number): void {
    this.#consumed += bytes;
    if (this.#consumed < PIECE && this.#queue.length > 0) return;
    this.#send({ type: "credit", bytes: this.#consumed });
    this.#consumed = 0;
  }

  #send(message: GuestStreamClientMessage): void {
    if (this.#over === undefined) this.#socket.send(JSON.stringify(message));
  }

  #receive(message: GuestStreamServerMessage): void {
    switch (message.type) {
      case "opened":
        return this.#opened.resolve();
      case "message":
        return this.#options.onMessage?.(message.message);
      case "credit":
        this.#credit += message.bytes;
        return this.#wakeWriters();
      case "end":
        this.#ended = true;
        return this.#wakeReader?.();
      case "result":
        return this.#finish(undefined, message.result);
      case "error":
        return this.#finish(BangerError.fromBody(message.error));
    }
  }

  #wakeWriters(): void {
    this.#room?.resolve();
    this.#room = undefined;
  }

  #lost(reason: string): void {
    this.#finish(connectionLost(reason));
  }

  #finish(error: BangerError | undefined, result: Readonly<Record<string, unknown>> = {}): void {
    if (this.#over !== undefined) return;
    this.#over = error === undefined ? {} : { error };
    this.#options.signal?.removeEventListener("abort", this.#abort);
    if (error === undefined) this.#result.resolve(result);
    else this.#result.reject(error);
    this.#opened.resolve();
    // What has arrived may still be read.
    this.#wakeReader?.();
    this.#wakeWriters();
    this.#socket.close();
  }
}
