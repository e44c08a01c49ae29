/** The API on its Unix socket: reads requests, has them checked and applied, and misbehaves where the plan says so. */
import { createServer, type Server, type Socket } from "node:net";
import { answerFault, type CheckedRequest, checkRequest } from "./check.ts";
import { type Answer, answerText, FULL_ANSWER, malformedAnswer, rawAnswer } from "./http-answer.ts";
import { type HttpRequest, RequestReader } from "./http-reader.ts";
import type { Machine } from "./machine.ts";
import type { Misdeed } from "./plan.ts";
import { nowMs, type Recorder } from "./record.ts";
import { Refusal } from "./refusal.ts";

/** micro_http's MAX_CONNECTIONS. */
const MAX_CONNECTIONS = 10;

export interface ApiServerOptions {
  readonly machine: Machine;
  readonly record: Recorder;
  readonly maxBodyBytes: number;
  readonly misdeed: (request: HttpRequest) => Misdeed | undefined;
  /** Ends the process. */
  readonly quit: (code: number, why: string) => void;
}

/** One request after the other, over all connections, as the original's one API thread does. */
export class ApiServer {
  readonly server: Server;
  private readonly options: ApiServerOptions;
  private turn: Promise<void> = Promise.resolve();
  private connections = 0;
  private open = 0;

  constructor(options: ApiServerOptions) {
    this.options = options;
    this.server = createServer((socket) => this.accept(socket));
  }

  /** Resolves when what was asked so far has been answered. */
  async idle(): Promise<void> {
    await this.turn;
  }

  private accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (this.open >= MAX_CONNECTIONS) return void socket.end(FULL_ANSWER);
    this.open++;
    socket.once("close", () => this.open--);
    const connection = ++this.connections;
    const reader = new RequestReader(this.options.maxBodyBytes);
    socket.on("data", (bytes) => {
      for (const item of reader.push(Buffer.from(bytes))) {
        if (item.kind === "request") this.enqueue(() => this.serve(socket, item.request, connection));
        else if (item.kind === "continue") socket.write(rawAnswer(100, undefined));
        else {
          this.violate(`no HTTP: ${item.reason}`);
          this.enqueue(async () => void socket.write(malformedAnswer(item.reason)));
        }
      }
    });
  }

  private enqueue(work: () => Promise<void>): void {
    this.turn = this.turn.then(work);
  }

  private async serve(socket: Socket, request: HttpRequest, connection: number): Promise<void> {
    const beganAtMs = nowMs();
    const misdeed = this.options.misdeed(request);
    const answer = await this.answer(request, misdeed);
    const letter = answer === undefined ? undefined : compose(answer, misdeed);
    // Before it is sent, so that whoever has the answer also finds the record.
    this.options.record({
      kind: "request",
      method: request.method,
      path: request.path,
      body: parsed(request.body),
      ...letter?.proper,
      beganAtMs,
      endedAtMs: nowMs(),
      connection,
    });
    if (letter?.hangUp === true) socket.end(letter.text);
    else if (letter !== undefined) socket.write(letter.text);
    if (misdeed?.kind === "die") {
      if (misdeed.words !== undefined) process.stderr.write(`${misdeed.words}\n`);
      await written(socket);
      this.options.quit(misdeed.code ?? 1, "told to die");
    }
    if (answer?.fatal === undefined) return;
    await written(socket);
    this.options.quit(1, RESTORE_FAILED);
  }

  /** What the machine says, or what the plan wants it to say. Undefined for nothing. */
  private async answer(request: HttpRequest, misdeed: Misdeed | undefined): Promise<FinalAnswer | undefined> {
    switch (misdeed?.kind) {
      case "refuse":
        return { status: misdeed.status ?? 400, body: { fault_message: misdeed.message } };
      case "lie":
        return { status: 204 };
      case "die":
        return misdeed.after === true ? await this.apply(request) : undefined;
      case "silent":
        await this.apply(request);
        return undefined;
      case "slow":
        await new Promise((resolve) => setTimeout(resolve, misdeed.ms));
        return await this.apply(request);
      case "body":
      case "cut":
      case "huge":
      case "raw":
      case undefined:
        return await this.apply(request);
    }
  }

  private async apply(request: HttpRequest): Promise<FinalAnswer> {
    const { machine } = this.options;
    let checked: CheckedRequest | undefined;
    try {
      machine.outputs.log(`The API server received a ${request.method} request on "${request.path}".`);
      checked = checkRequest(request);
      const answer = await machine.apply(checked);
      this.checkAnswer(checked, answer);
      return answer;
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      if (error.violation) this.violate(`${request.method} ${request.path}: ${error.message}`);
      machine.outputs.log(`Received Error. Status code: 400 Bad Request. Message: ${error.message}`);
      const body = { fault_message: error.message };
      return { status: 400, body, ...(error.fatal ? { fatal: error.message } : {}) };
    }
  }

  private checkAnswer(checked: CheckedRequest, answer: Answer): void {
    const fault = answerFault(checked, answer);
    if (fault !== undefined)
      this.violate(`the stub's own answer to ${checked.operation.path} is wrong: ${fault}`);
  }

  private violate(message: string): void {
    this.options.record({ kind: "violation", message });
  }
}

const RESTORE_FAILED = "Error: RunWithApi(BuildMicroVmError(Restore))";

interface FinalAnswer extends Answer {
  /** Why the process ends after this answer. */
  readonly fatal?: string;
}

interface Letter {
  readonly text: string;
  /** What the record says of it; left out when it is no answer that a client could read. */
  readonly proper?: { readonly status: number; readonly answer?: unknown };
  readonly hangUp?: boolean;
}

/** An answer as it goes out, mangled as the plan wants it. */
function compose(answer: Answer, misdeed: Misdeed | undefined): Letter {
  switch (misdeed?.kind) {
    case "cut":
      return { text: answerText(answer).slice(0, misdeed.bytes), hangUp: true };
    case "raw":
      return { text: misdeed.text };
    case "body": {
      const { status = 200, text } = misdeed;
      return { text: rawAnswer(status, text), proper: { status, answer: text } };
    }
    case "huge":
      return { text: rawAnswer(200, JSON.stringify("x".repeat(misdeed.bytes))), proper: { status: 200 } };
    case "die":
    case "lie":
    case "refuse":
    case "silent":
    case "slow":
    case undefined:
      return { text: answerText(answer), proper: { status: answer.status, answer: answer.body } };
  }
}

/** Everything that was written has reached the other side's buffer. */
async function written(socket: Socket): Promise<void> {
  if (socket.destroyed || socket.writableLength === 0) return;
  await new Promise<void>((resolve) => {
    socket.once("drain", resolve);
    socket.once("close", resolve);
  });
}

function parsed(body: string | undefined): unknown {
  if (body === undefined) return undefined;
  try {
    return JSON.parse(body);
  } catch {
    // No JSON: the record shows what it was.
    return body;
  }
}
