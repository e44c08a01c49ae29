/**
 * One client's stream to files or connections of a guest, over a WebSocket: data, credit and ends are relayed both ways, so that a
 * slow reader at either end slows only this stream.
 */
import type { ServerWebSocket } from "bun";
import { GuestStreamClientMessageSchema, GuestStreamMessageSchema } from "../api/schemas/guest-stream.ts";
import type { GuestStreamClientMessage, GuestStreamServerMessage } from "../api/types/guest-stream.ts";
import type { AgentStream, StreamHandlers } from "../guest/stream.ts";
import { BangerError } from "../model/errors.ts";
import type { GuestStreamRequest } from "../model/guest-stream.ts";
import { decodeJson } from "./decode.ts";
import { clientGone } from "./progress-stream.ts";
import type { ErrorReport, SocketData, SocketSession } from "./router.ts";
import type { Services } from "./services.ts";

export interface GuestStreamTarget {
  /** The reference. */
  readonly vm: string;
  readonly report: ErrorReport;
}

export class GuestStreamSession implements SocketSession {
  readonly #services: Pick<Services, "vms" | "metrics">;
  readonly #target: GuestStreamTarget;
  readonly #gone = new AbortController();
  #socket: ServerWebSocket<SocketData> | undefined;
  #stream: AgentStream | undefined;
  #begun = false;

  constructor(services: Pick<Services, "vms" | "metrics">, target: GuestStreamTarget) {
    this.#services = services;
    this.#target = target;
  }

  open(socket: ServerWebSocket<SocketData>): void {
    this.#socket = socket;
  }

  message(data: string | Buffer): void {
    try {
      if (typeof data === "string") this.#command(decodeJson(data, GuestStreamClientMessageSchema));
      else this.#input(data);
    } catch (thrown) {
      this.#fail(thrown);
      this.#stream?.reset();
    }
  }

  close(): void {
    this.#socket = undefined;
    this.#cancel(clientGone());
  }

  #input(data: Buffer): void {
    this.#services.metrics.bytes("stdin", data.length);
    this.#opened().sendData(data);
  }

  #cancel(reason: BangerError): void {
    this.#gone.abort(reason);
    this.#stream?.reset();
  }

  #command(message: GuestStreamClientMessage): void {
    switch (message.type) {
      case "open":
        if (this.#begun) throw new BangerError("invalid_argument", "one socket carries one stream");
        this.#begun = true;
        this.#run(message.request).catch((thrown: unknown) => this.#fail(thrown));
        return;
      case "end":
        return this.#opened().sendEnd();
      case "cancel":
        return this.#cancel(new BangerError("cancelled", "the client gave the stream up"));
      case "credit":
        return this.#opened().returnCredit(1, message.bytes);
    }
  }

  async #run(request: GuestStreamRequest): Promise<void> {
    const { vms } = this.#services;
    const stream = await vms.openStream(this.#target.vm, request, this.#handlers());
    this.#stream = stream;
    if (this.#gone.signal.aborted) stream.reset();
    this.#send({ type: "opened" });
    this.#finish({ type: "result", result: await stream.result });
  }

  #handlers(): StreamHandlers {
    return {
      onData: (channel, bytes) => {
        if (channel !== 1) return;
        this.#services.metrics.bytes("stdout", bytes.length);
        this.#socket?.send(bytes);
      },
      onEnd: (channel) => {
        if (channel === 1) this.#send({ type: "end" });
      },
      onCredit: (bytes) => this.#send({ type: "credit", bytes }),
      onControl: (message) => {
        const parsed = GuestStreamMessageSchema.safeParse(message);
        if (parsed.success) this.#send({ type: "message", message: parsed.data });
      },
    };
  }

  #opened(): AgentStream {
    if (this.#stream !== undefined) return this.#stream;
    throw new BangerError("failed_precondition", "the stream is not open yet", {
      cure: "wait for the message 'opened'",
    });
  }

  #send(message: GuestStreamServerMessage): void {
    this.#socket?.send(JSON.stringify(message));
  }

  #fail(thrown: unknown): void {
    const error = BangerError.from(thrown);
    this.#target.report(error);
    this.#finish({ type: "error", error: error.toBody() });
  }

  #finish(message: GuestStreamServerMessage): void {
    this.#send(message);
    this.#socket?.close(1000);
    this.#socket = undefined;
  }
}
