/**
 * A client of Firecracker's API: JSON over HTTP/1.1 over a Unix socket (Firecracker's docs, and firecracker.yaml beside its
 * source). It keeps one connection and writes requests without waiting for earlier answers, which come in order.
 */
import type { Socket } from "node:net";
import { connectUnix } from "../../lib/unix-door.ts";
import { BangerError } from "../../model/errors.ts";
import { type HttpAnswer, HttpAnswers } from "./http-answers.ts";

const DEFAULT_TIMEOUT_MS = 10_000;
const MAX_FAULT_CHARACTERS = 2000;

export interface ApiRequest {
  readonly method: "GET" | "PUT" | "PATCH";
  readonly path: string;
  readonly body?: object;
}

export interface ApiOptions {
  /** For each answer (default 10 s). */
  readonly timeoutMs?: number;
}

/** Disposing hangs up; requests under way are then `unavailable`. Safe to repeat. */
export interface ApiClient extends Disposable {
  /** Connects, for those who want to know; the others do it by asking. Errors: `unavailable`. */
  connect(): Promise<unknown>;
  /**
   * One request; resolves with the answer's JSON, undefined for an answer without a body. A connection that has ended is made
   * anew. Errors: `failed_precondition` (Firecracker refused: its words are in the message, and in details as `fault`), `unavailable`
   * (nobody listens, or the connection ended), `timeout`, `internal` (the answer makes no sense).
   */
  send(request: ApiRequest, options?: ApiOptions): Promise<unknown>;
  /** All requests at once, in this order; resolves when all are answered. Errors: those of `send`, of the first that failed. */
  sendAll(requests: readonly ApiRequest[], options?: ApiOptions): Promise<void>;
}

/** Nothing is connected before the first request. */
export function createApiClient(socketPath: string): ApiClient {
  return new Client(socketPath);
}

class Client implements ApiClient {
  private readonly path: string;
  private current: Connection | undefined;
  private connecting: Promise<Connection> | undefined;
  private closed = false;

  constructor(path: string) {
    this.path = path;
  }

  async send(request: ApiRequest, options: ApiOptions = {}): Promise<unknown> {
    const connection = await this.connect();
    return await connection.send(request, options.timeoutMs ?? DEFAULT_TIMEOUT_MS);
  }

  async sendAll(requests: readonly ApiRequest[], options: ApiOptions = {}): Promise<void> {
    const connection = await this.connect();
    const timeoutMs = options.timeoutMs ?? DEFAULT_TIMEOUT_MS;
    const answers = await Promise.allSettled(requests.map((request) => connection.send(request, timeoutMs)));
    for (const answer of answers) if (answer.status === "rejected") throw answer.reason;
  }

  [Symbol.dispose](): void {
    this.closed = true;
    this.current?.close();
  }

  async connect(): Promise<Connection> {
    if (this.current?.isOpen === true) return this.current;
    this.connecting ??= this.open().finally(() => {
      this.connecting = undefined;
    });
    return await this.connecting;
  }

  private async open(): Promise<Connection> {
    if (this.closed) throw hungUp(this.path);
    const connection = new Connection(await connectUnix(this.path), this.path);
    this.current = connection;
    // Disposed meanwhile.
    if (this.closed) connection.close();
    return connection;
  }
}

interface Pending {
  readonly what: string;
  readonly answer: PromiseWithResolvers<unknown>;
}

class Connection {
  private readonly path: string;
  private readonly socket: Socket;
  private readonly answers = new HttpAnswers();
  private readonly pending: Pending[] = [];
  private failure: BangerError | undefined;

  constructor(socket: Socket, path: string) {
    this.path = path;
    this.socket = socket;
    // Kept for the next order; it must not keep a program alive that has nothing else to do.
    socket.unref();
    socket.on("data", (chunk: Uint8Array) => this.receive(chunk));
    socket.on("error", (cause) => this.fail(hungUp(path, { cause })));
    socket.on("close", () => this.fail(hungUp(path, { cut: this.answers.isCut })));
  }

  get isOpen(): boolean {
    return this.failure === undefined;
  }

  async send(request: ApiRequest, timeoutMs: number): Promise<unknown> {
    if (this.failure !== undefined) throw this.failure;
    const what = `${request.method} ${request.path}`;
    const pending: Pending = { what, answer: Promise.withResolvers<unknown>() };
    this.pending.push(pending);
    this.socket.write(render(request));
    // Answers are told apart by their order alone: after one that is missing the rest cannot be believed.
    const late = setTimeout(() => {
      this.fail(new BangerError("timeout", `Firecracker did not answer ${what} within ${timeoutMs} ms`));
    }, timeoutMs);
    try {
      return await pending.answer.promise;
    } finally {
      clearTimeout(late);
    }
  }

  close(): void {
    this.fail(hungUp(this.path));
  }

  private receive(chunk: Uint8Array): void {
    try {
      for (const answer of this.answers.push(chunk)) this.settle(answer);
    } catch (error) {
      this.fail(BangerError.from(error));
    }
  }

  private settle(answer: HttpAnswer): void {
    const request = this.pending.shift();
    if (request === undefined) throw new BangerError("internal", "Firecracker answered what was not asked");
    try {
      request.answer.resolve(valueOf(answer, request.what));
    } catch (error) {
      request.answer.reject(error);
    }
  }

  private fail(error: BangerError): void {
    if (this.failure !== undefined) return;
    this.failure = error;
    this.socket.destroy();
    for (const { answer } of this.pending.splice(0)) answer.reject(error);
  }
}

/** Its server knows no chunked bodies, and reads header lines up to 1024 bytes. */
function render(request: ApiRequest): string {
  const head = [`${request.method} ${request.path} HTTP/1.1`, "Host: localhost", "Accept: application/json"];
  if (request.body === undefined) return `${head.join("\r\n")}\r\n\r\n`;
  const body = JSON.stringify(request.body);
  head.push("Content-Type: application/json", `Content-Length: ${Buffer.byteLength(body)}`);
  return `${head.join("\r\n")}\r\n\r\n${body}`;
}

function valueOf(answer: HttpAnswer, what: string): unknown {
  if (answer.status >= 300) throw refusal(answer, what);
  if (answer.body === "") return undefined;
  const parsed = parseJson(answer.body);
  if (parsed !== undefined) return parsed.value;
  throw new BangerError("internal", `Firecracker's answer to ${what} is not JSON`);
}

function refusal(answer: HttpAnswer, what: string): BangerError {
  const value = parseJson(answer.body)?.value;
  const told = typeof value === "object" && value !== null && "fault_message" in value;
  const fault = printable(told ? String(value.fault_message) : answer.body);
  return new BangerError(
    "failed_precondition",
    `Firecracker refused ${what}: ${fault === "" ? `status ${answer.status}` : fault}`,
    { details: { request: what, status: answer.status, fault } },
  );
}

function printable(text: string): string {
  // oxlint-disable-next-line eslint/no-control-regex -- control characters are what is removed
  const words = text.replace(/[\u0000-\u001f\u007f]+/g, " ");
  return words.trim().slice(0, MAX_FAULT_CHARACTERS);
}

function parseJson(text: string): { readonly value: unknown } | undefined {
  try {
    return { value: JSON.parse(text) };
  } catch {
    // Said by the caller, who knows what was asked.
    return undefined;
  }
}

function hungUp(path: string, why: { readonly cause?: unknown; readonly cut?: boolean } = {}): BangerError {
  const when = why.cut === true ? " in the middle of an answer" : "";
  return new BangerError("unavailable", `the connection to Firecracker's API ${path} has ended${when}`, {
    cause: why.cause,
  });
}
