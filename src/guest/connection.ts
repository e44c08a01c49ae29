/** A connection to the agent: many streams over one channel, heartbeats, and an end that everybody hears of. */
import type { Duplex } from "node:stream";
import { BangerError } from "../model/errors.ts";
import { encodeData, encodeFrame, FRAME, type Frame, FrameDecoder, MAX_PAYLOAD, WINDOW } from "./frames.ts";
import { type AgentFacts, handshake } from "./handshake.ts";
import { AgentStream, type StreamHandlers } from "./stream.ts";

/** Bytes that may wait for a guest that does not read; one window for each of a few dozen streams. */
const MAX_BACKLOG = 32 * WINDOW;
/** With so much waiting, those who may choose when to send wait, too, so that nobody has to be refused. */
const HIGH_BACKLOG = 4 * WINDOW;
const PING_INTERVAL_MS = 5_000;
const PING_BYTES = 8;
/** So long without a word means unresponsive. */
const SILENCE_MS = 20_000;

export interface ConnectOptions {
  /** The channel has carried nothing before. */
  readonly fresh: boolean;
  readonly signal: AbortSignal;
}

export class AgentConnection {
  readonly facts: AgentFacts;
  readonly generation: number;
  /** Settles, never rejects, when the connection is over: the reason. */
  readonly closed: Promise<BangerError>;
  readonly #channel: Duplex;
  readonly #tag: number;
  readonly #decoder: FrameDecoder;
  readonly #streams = new Map<number, AgentStream>();
  readonly #closed: PromiseWithResolvers<BangerError>;
  readonly #heartbeat: ReturnType<typeof setInterval>;
  /** Those who wait until the guest has taken what was sent. */
  readonly #waiting = new Set<() => void>();
  #nextId = 1;
  #lastHeardAt: number = performance.now();
  #over: BangerError | undefined;

  /**
   * Takes over `channel` and greets the agent. Waits as long as the agent needs; `signal` ends the wait. Errors:
   * `guest_error`, `cancelled`; the channel is destroyed then.
   */
  static async open(channel: Duplex, options: ConnectOptions): Promise<AgentConnection> {
    // It may break at any time, also when nobody waits for it any more; whoever waits listens for himself.
    channel.on("error", () => undefined);
    try {
      const greeted = await handshake(channel, options);
      return new AgentConnection(channel, greeted);
    } catch (error) {
      channel.destroy();
      throw error;
    }
  }

  private constructor(
    channel: Duplex,
    greeted: { facts: AgentFacts; tag: number; generation: number; rest: Uint8Array },
  ) {
    this.#channel = channel;
    this.facts = greeted.facts;
    this.generation = greeted.generation;
    this.#tag = greeted.tag;
    this.#closed = Promise.withResolvers();
    this.closed = this.#closed.promise;
    this.#decoder = new FrameDecoder(greeted.tag, (frame) => this.#accept(frame));
    channel.on("data", (bytes: Uint8Array) => this.#receive(bytes));
    channel.on("error", (error) => this.#end(lost(error)));
    channel.on("close", () => this.#end(lost()));
    channel.on("drain", () => this.#wake());
    this.#heartbeat = setInterval(() => {
      // A guest that does not read gets no more questions.
      if (channel.writableLength === 0) this.#send(FRAME.ping, 0, new Uint8Array(PING_BYTES));
    }, PING_INTERVAL_MS);
    this.#heartbeat.unref();
    this.#receive(greeted.rest);
    channel.resume();
  }

  /** False when nothing was heard for 20 s: the guest is stuck, or very slow. */
  get responsive(): boolean {
    return performance.now() - this.#lastHeardAt < SILENCE_MS;
  }

  /**
   * Opens a stream. `window`: the credit that its channels start with, when the request says the same to the guest. Errors:
   * `unavailable` after the end, `resource_exhausted` above the agent's number of streams or for a request above the frame cap.
   */
  openStream(
    request: Readonly<Record<string, unknown>>,
    handlers: StreamHandlers = {},
    window: number = WINDOW,
  ): AgentStream {
    if (this.#over !== undefined) throw this.#over;
    this.#refuseWhenCongested();
    const { streams } = this.facts;
    if (this.#streams.size >= streams) {
      throw new BangerError("resource_exhausted", `${streams} streams to this guest are open already`);
    }
    const payload = new TextEncoder().encode(JSON.stringify(request));
    if (payload.length > MAX_PAYLOAD) {
      throw new BangerError(
        "resource_exhausted",
        "the request is larger than 256 KiB; pass large data on stdin",
      );
    }
    const stream = new AgentStream(
      this.#nextId,
      {
        send: (type, id, bytes) => {
          if (type === FRAME.control) this.#refuseWhenCongested();
          this.#send(type, id, bytes);
        },
        sendData: (id, bytes) => {
          this.#refuseWhenCongested();
          if (this.#over === undefined) this.#channel.write(encodeData(0, id, bytes, this.#tag));
        },
        forget: (id) => this.#streams.delete(id),
        isCongested: () => this.#channel.writableLength > HIGH_BACKLOG,
        onceDrained: (then) => void this.#waiting.add(then),
      },
      handlers,
      window,
    );
    this.#nextId += 2;
    this.#streams.set(stream.id, stream);
    this.#send(FRAME.open, stream.id, payload);
    return stream;
  }

  /** Lets the channel go; streams that are open fail with `reason`. Safe to repeat. */
  close(
    reason: BangerError = new BangerError("unavailable", "the connection to the guest was closed"),
  ): void {
    this.#end(reason);
  }

  /** A guest that has stopped reading holds up what is sent to it, and only that; it may only be paused or slow. */
  #refuseWhenCongested(): void {
    if (this.#channel.writableLength <= MAX_BACKLOG) return;
    throw new BangerError("resource_exhausted", "the guest does not take what is sent to it", {
      cure: "wait until it does, or end it with: banger kill NAME",
    });
  }

  #receive(bytes: Uint8Array): void {
    this.#lastHeardAt = performance.now();
    try {
      this.#decoder.push(bytes);
      if (this.#decoder.violation !== undefined) {
        throw new BangerError(
          "guest_error",
          `the guest agent sent a frame with a bad ${this.#decoder.violation}`,
        );
      }
    } catch (thrown) {
      const error = BangerError.from(thrown);
      // Whatever it was that we stumbled over came from the guest.
      const broken =
        error.code === "guest_error"
          ? error
          : new BangerError("guest_error", error.message, { cause: thrown });
      this.#end(broken);
    }
  }

  #accept(frame: Frame): void {
    if (frame.stream === 0) {
      this.#acceptBeat(frame);
      return;
    }
    if (frame.stream % 2 === 0 || frame.stream >= this.#nextId) {
      throw new BangerError("guest_error", "the guest agent sent a frame of a stream that was never opened");
    }
    // A stream that is over may have frames under way; they are nobody's.
    this.#streams.get(frame.stream)?.accept(frame.type, frame.payload);
  }

  #acceptBeat({ type, payload }: Frame): void {
    if ((type !== FRAME.ping && type !== FRAME.pong) || payload.length !== PING_BYTES) {
      const what = `frame type ${type} with ${payload.length} bytes on the connection`;
      throw new BangerError("guest_error", `the guest agent sent ${what}`);
    }
    // One that asks and does not read is not answered, or its answers would pile up.
    if (type === FRAME.ping && this.#channel.writableLength <= HIGH_BACKLOG)
      this.#send(FRAME.pong, 0, payload);
  }

  #send(type: number, stream: number, payload: Uint8Array): void {
    if (this.#over === undefined) this.#channel.write(encodeFrame(type, stream, payload, this.#tag));
  }

  #wake(): void {
    const waiting = [...this.#waiting];
    this.#waiting.clear();
    for (const then of waiting) then();
  }

  #end(reason: BangerError): void {
    if (this.#over !== undefined) return;
    this.#over = reason;
    clearInterval(this.#heartbeat);
    this.#channel.destroy();
    for (const stream of this.#streams.values()) stream.fail(reason);
    this.#wake();
    this.#closed.resolve(reason);
  }
}

function lost(cause?: unknown): BangerError {
  return new BangerError(
    "unavailable",
    "the connection to the guest was lost",
    cause === undefined ? {} : { cause },
  );
}
