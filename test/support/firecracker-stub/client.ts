/** A process of the stub (or of the real program) for the stub's own tests, and plain requests to it. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { join } from "node:path";
import { watchForListener } from "../../../src/vmm/fake/listener-watch.ts";
import { createFirecrackerStub, type FirecrackerStub, type StubOptions } from "./create.ts";

export interface ApiAnswer {
  readonly status: number;
  /** Undefined for an empty one. */
  readonly body: unknown;
  /** The `fault_message`, or nothing. */
  readonly message: string;
}

export interface ApiProcess extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly socketPath: string;
  /** What it has written to both its outputs. */
  output(): string;
  call(method: string, path: string, body?: unknown): Promise<ApiAnswer>;
  /** Settles when the process is gone. */
  readonly exited: Promise<{ readonly code: number | null; readonly signal: string | null }>;
}

/** Resolves when `bin` listens; rejects with its words when it ends instead. The caller disposes it. */
export async function startApi(
  bin: string,
  options: { readonly socketPath: string; readonly args?: readonly string[] },
): Promise<ApiProcess> {
  const { socketPath, args = [] } = options;
  using watch = watchForListener(socketPath);
  const child = spawn(bin, ["--api-sock", socketPath, ...args], { stdio: ["ignore", "pipe", "pipe"] });
  let output = "";
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding("utf8").on("data", (text: string) => {
      output += text;
    });
  const exited = new Promise<{ code: number | null; signal: string | null }>((resolve) => {
    child.once("close", (code, signal) => resolve({ code, signal }));
  });
  const ended = exited.then((exit) => {
    throw new Error(`${bin} ended with ${exit.code}: ${output}`);
  });
  await Promise.race([watch.listening, ended]);
  ended.catch(() => undefined); // From here on its end is the test's business.
  return {
    child,
    socketPath,
    output: () => output,
    call: (method, path, body) => call(socketPath, { method, path, body }),
    exited,
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await exited;
    },
  };
}

export interface RunningStub extends ApiProcess {
  readonly stub: FirecrackerStub;
}

/** One stub with one process that listens. */
export async function startStub(
  options: StubOptions = {},
  args: readonly string[] = ["--id", "test"],
): Promise<RunningStub> {
  await using undo = new AsyncDisposableStack();
  const stub = undo.use(createFirecrackerStub(options));
  const api = undo.use(await startApi(stub.bin, { socketPath: join(stub.dir, "api"), args }));
  const owned = undo.move();
  return { ...api, stub, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

async function call(
  socketPath: string,
  request: { readonly method: string; readonly path: string; readonly body: unknown },
): Promise<ApiAnswer> {
  const { method, path, body } = request;
  const answer = await fetch(`http://localhost${path}`, {
    unix: socketPath,
    method,
    ...(body === undefined ? {} : { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  const text = await answer.text();
  const parsed: unknown = text === "" ? undefined : JSON.parse(text);
  return { status: answer.status, body: parsed, message: faultMessage(parsed) };
}

function faultMessage(body: unknown): string {
  return typeof body === "object" && body !== null && "fault_message" in body
    ? String(body.fault_message)
    : "";
}

/** A connection to a Unix socket that collects what it hears. */
export interface Wire extends Disposable {
  readonly socket: Socket;
  /** Resolves when everything heard so far matches; rejects when the connection closes before. */
  heard(pattern: RegExp): Promise<string>;
  readonly closed: Promise<unknown>;
}

export async function openWire(path: string): Promise<Wire> {
  const socket = connect(path);
  await once(socket, "connect");
  let text = "";
  let check: () => void = () => undefined;
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  socket.on("error", () => undefined); // A hang-up is seen by `closed`.
  socket.setEncoding("latin1").on("data", (more: string) => {
    text += more;
    check();
  });
  return {
    socket,
    closed,
    async heard(pattern) {
      const found = new Promise<string>((resolve) => {
        check = () => {
          if (pattern.test(text)) resolve(text);
        };
        check();
      });
      const lost = closed.then(() => {
        if (pattern.test(text)) return text;
        throw new Error(`the connection closed after ${JSON.stringify(text)}`);
      });
      return await Promise.race([found, lost]);
    },
    [Symbol.dispose]: () => void socket.destroy(),
  };
}
