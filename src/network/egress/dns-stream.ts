/** Questions of a guest over TCP, with lengths in front (RFC 1035, section 4.2.2), answered in order. */
import type { AgentStream, StreamHandlers } from "../../guest/stream.ts";

/** A question is short; what is longer is none. */
const MAX_QUESTION = 4_096;

export class DnsStream {
  readonly #answer: (message: Uint8Array) => Promise<Uint8Array | undefined>;
  #received: Buffer = Buffer.alloc(0);
  #stream: AgentStream | undefined;
  #ended = false;
  #working = false;

  constructor(answer: (message: Uint8Array) => Promise<Uint8Array | undefined>) {
    this.#answer = answer;
  }

  /** Resolves when the stream is over. Errors: the guest's. */
  async serve(open: (handlers: StreamHandlers) => Promise<AgentStream>): Promise<void> {
    const stream = await open({
      onData: (channel, bytes) => {
        if (channel !== 1) return;
        this.#received = Buffer.concat([this.#received, bytes]);
        void this.#work();
      },
      onEnd: () => {
        this.#ended = true;
        void this.#work();
      },
    });
    this.#stream = stream;
    void this.#work();
    await stream.result;
  }

  /** One question after the other: what waits is no more than the window. */
  async #work(): Promise<void> {
    const stream = this.#stream;
    if (stream === undefined || this.#working) return;
    this.#working = true;
    for (let message = this.#next(); message !== undefined && !stream.over; message = this.#next()) {
      const answer = await this.#answer(message);
      stream.returnCredit(1, message.length + 2);
      if (answer === undefined) return stream.reset();
      const length = Buffer.alloc(2);
      length.writeUInt16BE(answer.length);
      const reply = Buffer.concat([length, answer]);
      // Who does not read loses the connection.
      if (reply.length > stream.sendCredit || stream.congested) return stream.reset();
      stream.sendData(reply);
    }
    this.#working = false;
    if (this.#ended) stream.sendEnd();
    if (this.#received.length > MAX_QUESTION) stream.reset();
  }

  #next(): Buffer | undefined {
    if (this.#received.length < 2) return undefined;
    const length = this.#received.readUInt16BE(0);
    if (length > MAX_QUESTION || this.#received.length < 2 + length) return undefined;
    const message = this.#received.subarray(2, 2 + length);
    this.#received = this.#received.subarray(2 + length);
    return message;
  }
}
