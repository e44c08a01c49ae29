/** An agent's end of a channel, in memory, for tests of the host's end. */
import { Duplex } from "node:stream";
import { encodeFrame, FRAME, type Frame, FrameDecoder, HANDSHAKE_TAG } from "../../src/guest/frames.ts";

const FACTS = { agent: "0.1.0", bootId: "b-1", kernel: "6.1", uptimeMs: 5, configured: false };

/** Two ends of one byte stream. */
export function channelPair(): readonly [Duplex, Duplex] {
  const end = (other: () => Duplex): Duplex =>
    new Duplex({
      read() {},
      write(chunk: Uint8Array, _, done) {
        other().push(chunk);
        done();
      },
      destroy(error, done) {
        if (!other().destroyed) other().push(null);
        done(error);
      },
    });
  const host: Duplex = end(() => guest);
  const guest: Duplex = end(() => host);
  return [host, guest];
}

/** Answers SYNC and hands over every frame; sends what the test says. */
export class ScriptedAgent {
  readonly frames: Frame[] = [];
  readonly #channel: Duplex;
  readonly #onFrame: (frame: Frame, agent: ScriptedAgent) => void;
  #decoder: FrameDecoder | undefined;
  #tag = 0;

  constructor(channel: Duplex, onFrame: (frame: Frame, agent: ScriptedAgent) => void = () => undefined) {
    this.#channel = channel;
    this.#onFrame = onFrame;
    channel.on("data", (bytes: Buffer) => this.#receive(bytes));
  }

  send(type: number, stream: number, payload: Uint8Array | object): void {
    const bytes = payload instanceof Uint8Array ? payload : new TextEncoder().encode(JSON.stringify(payload));
    this.#channel.write(encodeFrame(type, stream, bytes, this.#tag));
  }

  sendRaw(bytes: Uint8Array): void {
    this.#channel.write(bytes);
  }

  #receive(bytes: Buffer): void {
    if (this.#decoder !== undefined) {
      this.#decoder.push(bytes);
      return;
    }
    // All of SYNC comes in one piece here; padding before it is zeros.
    const start = bytes.findIndex((byte) => byte !== 0);
    if (start < 0) return;
    const nonce = bytes.subarray(start + 8, start + 24);
    this.#tag = nonce.readUInt32LE(0);
    this.#decoder = new FrameDecoder(this.#tag, (frame) => {
      this.frames.push(frame);
      this.#onFrame(frame, this);
    });
    this.#channel.write(
      encodeFrame(
        FRAME.ack,
        0,
        Buffer.concat([nonce, Buffer.from([1, 0]), Buffer.from(JSON.stringify(FACTS))]),
        HANDSHAKE_TAG,
      ),
    );
  }
}
