/**
 * One client's command, over a WebSocket: relays input, output and credit between the client and the guest, so that a
 * slow reader at either end slows only this command.
 */
import type { ServerWebSocket } from "bun";
import { ExecClientMessageSchema } from "../api/schemas/exec.ts";
import type { ExecClientMessage, ExecServerMessage } from "../api/types/exec.ts";
import type { ProgressLine } from "../api/types/progress.ts";
import { parseExecResult } from "../guest/commands.ts";
import type { AgentStream, StreamHandlers } from "../guest/stream.ts";
import { BangerError } from "../model/errors.ts";
import { exitCodeOfSignal } from "../model/signals.ts";
import type { Vms } from "../vms/vms.ts";
import type { Workspaces } from "../workspaces/workspaces.ts";
import { decodeJson } from "./decode.ts";
import type { Metrics } from "./metrics.ts";
import { presentVm } from "./present.ts";
import { clientGone } from "./progress-stream.ts";
import type { ErrorReport, SocketData, SocketSession } from "./router.ts";
import type { Services } from "./services.ts";

export interface ExecTarget {
  /** The reference to exec in; undefined for a `run`. */
  readonly vm: string | undefined;
  readonly report: ErrorReport;
}

export class ExecSession implements SocketSession {
  readonly #vms: Vms;
  readonly #metrics: Metrics;
  readonly #workspaces: Workspaces;
  readonly #report: ErrorReport;
  readonly #vm: string | undefined;
  readonly #gone = new AbortController();
  #socket: ServerWebSocket<SocketData> | undefined;
  #stream: AgentStream | undefined;
  /** What is run before the command of a run. */
  #setup: AgentStream | undefined;
  #begun = false;

  constructor(services: Pick<Services, "vms" | "metrics" | "workspaces">, target: ExecTarget) {
    this.#vms = services.vms;
    this.#metrics = services.metrics;
    this.#workspaces = services.workspaces;
    this.#vm = target.vm;
    this.#report = target.report;
  }

  open(socket: ServerWebSocket<SocketData>): void {
    this.#socket = socket;
  }

  message(data: string | Buffer): void {
    try {
      if (typeof data === "string") this.#command(decodeJson(data, ExecClientMessageSchema));
      else this.#input(data);
    } catch (thrown) {
      this.#fail(thrown);
      this.#stream?.reset();
    }
  }

  #input(data: Buffer): void {
    this.#metrics.bytes("stdin", data.length);
    this.#started().sendData(data);
  }

  close(): void {
    this.#socket = undefined;
    this.#cancel(clientGone());
  }

  #cancel(reason: BangerError): void {
    this.#gone.abort(reason);
    this.#setup?.reset();
    this.#stream?.reset();
  }

  #command(message: ExecClientMessage): void {
    switch (message.type) {
      case "exec":
        return this.#begin(() => this.#exec(message.exec));
      case "attach":
        return this.#begin(() => this.#join(message.id));
      case "run":
        return this.#begin(() => this.#run(message.run));
      case "end":
        return this.#started().sendEnd();
      case "resize":
        return this.#started().sendControl({ resize: { cols: message.cols, rows: message.rows } });
      case "signal":
        return this.#started().sendControl({ signal: message.signal });
      case "detach":
        return this.#started().sendControl({ detach: {} });
      case "cancel":
        return this.#cancel(new BangerError("cancelled", "the client cancelled the command"));
      case "credit":
        return this.#credit(message.channel, message.bytes);
    }
  }

  /** What the setup writes goes to stderr, all of it from its channel 1. */
  #credit(channel: 1 | 2, bytes: number): void {
    if (this.#stream === undefined && this.#setup !== undefined) this.#setup.returnCredit(1, bytes);
    else this.#started().returnCredit(channel, bytes);
  }

  #begin(work: () => Promise<void>): void {
    if (this.#begun) throw new BangerError("invalid_argument", "one socket carries one command");
    this.#begun = true;
    work().catch((thrown: unknown) => this.#fail(thrown));
  }

  async #exec(exec: Extract<ExecClientMessage, { type: "exec" }>["exec"]): Promise<void> {
    if (this.#vm === undefined) throw new BangerError("invalid_argument", "this socket takes a run");
    const stream = await this.#vms.exec(this.#vm, exec, this.#handlers());
    const drift = this.#warnOfDrift(this.#vm);
    const result = await this.#result(stream);
    await drift;
    this.#finish(result);
  }

  /** Said while the command runs, which does not wait for it. Never rejects: no command fails for want of a warning. */
  async #warnOfDrift(ref: string): Promise<void> {
    const note = (text: string): void => this.#send({ type: "progress", progress: { event: "note", text } });
    try {
      const vm = this.#vms.find(ref);
      const drift = await this.#workspaces.drift(vm);
      if (drift !== undefined) note(`${drift}; send what is new with: banger workspace sync ${vm.name}`);
    } catch (error) {
      note(`whether the host has moved on is not known: ${BangerError.from(error).message}`);
    }
  }

  async #join(id: string): Promise<void> {
    if (this.#vm === undefined) throw new BangerError("invalid_argument", "this socket takes a run");
    const stream = await this.#vms.attach(this.#vm, id, this.#handlers());
    // It runs already; the guest says nothing of a start.
    this.#send({ type: "started" });
    await this.#attach(stream);
  }

  async #run(run: Extract<ExecClientMessage, { type: "run" }>["run"]): Promise<void> {
    if (this.#vm !== undefined) throw new BangerError("invalid_argument", "this socket takes an exec");
    let exit: ExecServerMessage | undefined;
    const signal = this.#gone.signal;
    const onProgress = (progress: ProgressLine): void => this.#send({ type: "progress", progress });
    const { workspace, ...wish } = run;
    const { setup } = wish;
    const lazy = setup !== undefined && wish.cold !== true;
    await using prepared = workspace && (await this.#workspaces.prepare(workspace, signal, { lazy }));
    const { inputs = [] } = setup ?? {};
    const tree = prepared && (await this.#workspaces.arriving(prepared, { signal, onProgress, inputs }));
    await this.#vms.run(wish, {
      signal,
      handlers: this.#handlers(),
      onProgress,
      tree,
      setup: {
        onOutput: (bytes) => this.#output(2, bytes),
        onStream: (stream) => {
          this.#setup = stream;
          if (signal.aborted) stream.reset();
        },
      },
      onReady: (vm) => this.#send({ type: "ready", vm: presentVm(this.#vms, vm) }),
      attach: async (stream) => {
        exit = await this.#result(stream);
      },
    });
    // Said only now, so that a client that has heard the exit code finds the VM of `--rm` gone.
    if (exit === undefined) this.#socket?.close(1000);
    else this.#finish(exit);
  }

  async #attach(stream: AgentStream): Promise<void> {
    this.#finish(await this.#result(stream));
  }

  async #result(stream: AgentStream): Promise<ExecServerMessage> {
    this.#stream = stream;
    if (this.#gone.signal.aborted) stream.reset();
    const result = parseExecResult(await stream.result);
    if (result.kind === "detached") return { type: "detached", id: result.id };
    if (result.kind === "exited") return { type: "exit", exitCode: result.exitCode };
    const exitCode = exitCodeOfSignal(result.signal);
    return { type: "exit", exitCode, signal: result.signal, timedOut: result.timedOut };
  }

  #handlers(): StreamHandlers {
    return {
      onData: (channel, bytes) => this.#output(channel, bytes),
      onCredit: (bytes) => this.#send({ type: "credit", bytes }),
      onControl: (message) => {
        if ("started" in message) this.#send({ type: "started" });
      },
    };
  }

  #output(channel: 1 | 2, bytes: Uint8Array): void {
    this.#metrics.bytes(channel === 1 ? "stdout" : "stderr", bytes.length);
    const framed = Buffer.allocUnsafeSlow(bytes.length + 1);
    framed[0] = channel;
    framed.set(bytes, 1);
    this.#socket?.send(framed);
  }

  #started(): AgentStream {
    if (this.#stream !== undefined) return this.#stream;
    throw new BangerError("failed_precondition", "the command has not started yet", {
      cure: "wait for the message 'started'",
    });
  }

  #send(message: ExecServerMessage): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #fail(thrown: unknown): void {
    const error = BangerError.from(thrown);
    this.#report(error);
    this.#finish({ type: "error", error: error.toBody() });
  }

  #finish(message: ExecServerMessage): void {
    this.#send(message);
    this.#socket?.close(1000);
    this.#socket = undefined;
  }
}
