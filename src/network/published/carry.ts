/** One TCP connection of this host, joined to a stream into a guest: half-closed as it is, and at the pace of whoever reads. */
import type { Socket } from "node:net";
import type { AgentStream, StreamHandlers } from "../../guest/stream.ts";
import { BangerError } from "../../model/errors.ts";

export type OpenStream = (handlers: StreamHandlers) => Promise<AgentStream>;

/**
 * Carries until both sides are over. `socket` is paused and half-open allowed. A connection that the guest refuses, or that breaks, is
 * reset, as the kernel does it. Errors: why it broke; the client that goes away is none.
 */
export async function carry(socket: Socket, open: OpenStream, window: number): Promise<void> {
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  // What broke is told by "close", too.
  socket.on("error", () => undefined);
  try {
    const toClient = new ToClient(socket, window);
    const toGuest = new ToGuest(socket);
    const stream = await open({
      onData: (channel, bytes) => {
        if (channel === 1) toClient.write(bytes);
      },
      onEnd: (channel) => {
        if (channel === 1) socket.end();
      },
      onCredit: () => toGuest.pump(),
    });
    toClient.start(stream);
    toGuest.start(stream);
    // Both sides said their end: what was heard last may still be on its way into the guest, which then ends the stream.
    void closed.then(() => {
      if (!toGuest.ended || !socket.writableFinished) stream.reset();
    });
    await stream.result;
    socket.end();
    // A guest that is done with a connection of which we still had something to say has closed it.
    if (!toGuest.ended) socket.destroySoon();
    await closed;
  } catch (thrown) {
    if (socket.destroyed) return;
    socket.resetAndDestroy();
    throw BangerError.from(thrown);
  }
}

/** Bytes of the guest, to whoever is connected. */
class ToClient {
  readonly #socket: Socket;
  readonly #lump: number;
  #stream: AgentStream | undefined;
  /** Taken from the guest, and not told so yet. */
  #owed = 0;
  #full = false;

  constructor(socket: Socket, window: number) {
    this.#socket = socket;
    // The guest always has three quarters of its window, or hears of what it lacks.
    this.#lump = window / 4;
  }

  start(stream: AgentStream): void {
    this.#stream = stream;
    this.#socket.on("drain", () => {
      this.#full = false;
      this.#settle();
    });
    this.#settle();
  }

  write(bytes: Uint8Array): void {
    this.#owed += bytes.length;
    if (!this.#socket.write(bytes)) this.#full = true;
    this.#settle();
  }

  #settle(): void {
    if (this.#full || this.#owed < this.#lump || this.#stream === undefined) return;
    this.#stream.returnCredit(1, this.#owed);
    this.#owed = 0;
  }
}

/** Bytes of whoever is connected, to the guest. One piece waits at most; the rest stays in the kernel. */
class ToGuest {
  readonly #socket: Socket;
  #stream: AgentStream | undefined;
  #piece: Uint8Array = new Uint8Array();
  #heardAll = false;
  #waits = false;
  /** Whether the guest was told that nothing more comes. */
  ended = false;

  constructor(socket: Socket) {
    this.#socket = socket;
  }

  start(stream: AgentStream): void {
    this.#stream = stream;
    this.#socket.on("data", (bytes: Uint8Array) => {
      this.#piece = this.#piece.length === 0 ? bytes : Buffer.concat([this.#piece, bytes]);
      this.pump();
    });
    this.#socket.on("end", () => {
      this.#heardAll = true;
      this.pump();
    });
    this.#socket.resume();
  }

  /** Sends what can be sent. */
  pump(): void {
    const stream = this.#stream;
    if (stream === undefined || stream.over || this.#waits) return;
    while (this.#piece.length > 0) {
      if (stream.congested) {
        this.#waits = true;
        this.#socket.pause();
        return stream.onceDrained(() => {
          this.#waits = false;
          this.pump();
        });
      }
      const count = Math.min(stream.sendCredit, this.#piece.length);
      if (count === 0) return void this.#socket.pause();
      stream.sendData(this.#piece.subarray(0, count));
      this.#piece = this.#piece.subarray(count);
    }
    if (this.#heardAll && !this.ended) {
      this.ended = true;
      stream.sendEnd();
    }
    if (this.#socket.isPaused()) this.#socket.resume();
  }
}
