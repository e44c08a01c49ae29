/**
 * A client of QEMU's machine protocol over a Unix socket (QEMU's docs/interop/qmp-spec). QEMU serves one client at a
 * time and keeps the next one waiting, so a client is opened for a piece of work and closed after it.
 */
import { connect, type Socket } from "node:net";
import { BangerError } from "../../model/errors.ts";
import { QmpLines } from "./qmp-lines.ts";
import { parseQmpMessage, type QmpMessage } from "./qmp-message.ts";

const DEFAULT_TIMEOUT_MS = 10_000;

export interface QmpEvent {
  readonly name: string;
  readonly data: Readonly<Record<string, unknown>>;
}

export interface QmpOptions {
  /** For the connection's set-up and for each command (default 10 s). */
  readonly timeoutMs?: number;
  readonly onEvent?: (event: QmpEvent) => void;
}

/**
 * A connection past its greeting, ready for commands. Disposing closes it; commands under way are then `unavailable`.
 */
export interface QmpClient extends Disposable {
  /** QEMU's version, such as `7.2.22`. */
  readonly version: string;
  /** Rejects when the connection is over, with the reason: for races against an event. */
  readonly ended: Promise<never>;
  /**
   * Runs one command and returns its result. Errors: `failed_precondition` (QEMU refused; details have its class),
   * `timeout`, `unavailable` (the connection ended), `internal` (QEMU sent something malformed).
   */
  execute(command: string, args?: Readonly<Record<string, unknown>>): Promise<unknown>;
}

/** Connects and negotiates. Errors: `unavailable` (nobody listens, or it hung up), `timeout`, `internal`. */
export async function connectQmp(path: string, options: QmpOptions = {}): Promise<QmpClient> {
  const client = new Connection(path, options);
  try {
    await client.negotiate();
    return client;
  } catch (error) {
    client[Symbol.dispose]();
    throw error;
  }
}

class Connection implements QmpClient {
  version = "";
  private readonly path: string;
  private readonly timeoutMs: number;
  private readonly onEvent: ((event: QmpEvent) => void) | undefined;
  private readonly socket: Socket;
  private readonly lines = new QmpLines();
  private readonly greeting = Promise.withResolvers<void>();
  private readonly end = Promise.withResolvers<never>();
  private readonly pending = new Map<number, PromiseWithResolvers<unknown>>();
  private lastId = 0;
  private failure: BangerError | undefined;

  constructor(path: string, options: QmpOptions) {
    this.path = path;
    this.timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    this.onEvent = options.onEvent;
    this.socket = connect(path);
    this.socket.on("data", (chunk: Uint8Array) => this.receive(chunk));
    this.socket.on("error", (cause) => this.fail(this.hungUp(cause)));
    this.socket.on("close", () => this.fail(this.hungUp()));
    // Whoever awaits the greeting sees its rejection; when nobody does, `failure` still holds it.
    this.greeting.promise.catch(() => undefined);
    this.end.promise.catch(() => undefined);
  }

  get ended(): Promise<never> {
    return this.end.promise;
  }

  async negotiate(): Promise<void> {
    await this.within("greeting", this.greeting.promise);
    await this.execute("qmp_capabilities");
  }

  async execute(command: string, args: Readonly<Record<string, unknown>> = {}): Promise<unknown> {
    if (this.failure !== undefined) throw this.failure;
    const id = ++this.lastId;
    const reply = Promise.withResolvers<unknown>();
    this.pending.set(id, reply);
    this.socket.write(`${JSON.stringify({ execute: command, arguments: args, id })}\n`);
    try {
      return await this.within(command, reply.promise);
    } finally {
      this.pending.delete(id);
    }
  }

  [Symbol.dispose](): void {
    this.fail(this.hungUp());
  }

  private receive(chunk: Uint8Array): void {
    try {
      for (const line of this.lines.push(chunk)) if (line !== "") this.handle(parseQmpMessage(line));
    } catch (error) {
      this.fail(BangerError.from(error));
    }
  }

  private handle(message: QmpMessage): void {
    switch (message.kind) {
      case "greeting":
        this.version = message.version;
        return this.greeting.resolve();
      case "event":
        return this.onEvent?.({ name: message.name, data: message.data });
      case "return":
        // A reply without a request came after its timeout.
        return this.pending.get(message.id)?.resolve(message.value);
      case "error": {
        const error = new BangerError("failed_precondition", `QEMU refused: ${message.text}`, {
          details: { class: message.reason },
        });
        if (message.id === undefined) return this.fail(error);
        return this.pending.get(message.id)?.reject(error);
      }
    }
  }

  private fail(error: BangerError): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    this.socket.destroy();
    this.greeting.reject(error);
    this.end.reject(error);
    for (const reply of this.pending.values()) reply.reject(error);
  }

  private async within<T>(what: string, reply: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const timer = setTimeout(() => {
      late.reject(new BangerError("timeout", `QEMU did not answer ${what} within ${this.timeoutMs} ms`));
    }, this.timeoutMs);
    try {
      return await Promise.race([reply, late.promise]);
    } finally {
      clearTimeout(timer);
    }
  }

  private hungUp(cause?: unknown): BangerError {
    return new BangerError("unavailable", `the QMP connection ${this.path} has ended`, { cause });
  }
}
