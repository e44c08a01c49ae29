/** The UDP peers of one published port: each has a stream of its own into the guest, where it looks like a peer of its own. */
import type { Socket } from "node:dgram";
import type { AgentStream, StreamHandlers } from "../../guest/stream.ts";
import type { Clock } from "../../lib/clock.ts";
import { BangerError } from "../../model/errors.ts";
import { MAX_WAITING_DATAGRAMS, PEER_IDLE_MS } from "./limits.ts";

export interface PeersOptions {
  readonly clock: Clock;
  /** Opens a stream for a new peer; undefined when there are too many. */
  readonly open: (handlers: StreamHandlers) => Promise<AgentStream> | undefined;
  /** A peer's stream ended with an error. */
  readonly onProblem: (error: BangerError) => void;
}

export class Peers {
  readonly #socket: Socket;
  readonly #options: PeersOptions;
  readonly #peers = new Map<string, Peer>();

  constructor(socket: Socket, options: PeersOptions) {
    this.#socket = socket;
    this.#options = options;
    // An answer to a peer that has gone comes back as an error, which is that peer's alone.
    socket.on("error", () => undefined);
    socket.on("message", (bytes, { address, port }) => this.#receive(bytes, address, port));
  }

  /** Forgets every peer and lets the port go. */
  close(): void {
    this.#socket.close();
    for (const peer of this.#peers.values()) peer.end();
  }

  #receive(bytes: Uint8Array, address: string, port: number): void {
    // A frame of no data is none.
    if (bytes.length === 0) return;
    const key = `${address} ${port}`;
    const peer = this.#peers.get(key) ?? this.#meet(key, { address, port });
    peer?.send(bytes);
  }

  #meet(
    key: string,
    { address, port }: { readonly address: string; readonly port: number },
  ): Peer | undefined {
    const peer = new Peer(this.#options.clock);
    const opening = this.#options.open({
      onData: (channel, bytes) => {
        if (channel !== 1) return;
        peer.answered(bytes.length);
        this.#socket.send(bytes, port, address);
      },
    });
    if (opening === undefined) return undefined;
    this.#peers.set(key, peer);
    const over = (): void => {
      peer.end();
      this.#peers.delete(key);
    };
    peer.run(opening).then(over, (thrown: unknown) => {
      over();
      const error = BangerError.from(thrown);
      if (error.code !== "cancelled") this.#options.onProblem(error);
    });
    return peer;
  }
}

class Peer {
  readonly #clock: Clock;
  #stream: AgentStream | undefined;
  readonly #waiting: Uint8Array[] = [];
  #letGo: (() => void) | undefined;
  #lastAt: number;
  #over = false;

  constructor(clock: Clock) {
    this.#clock = clock;
    this.#lastAt = clock.now();
    this.#watch();
  }

  /** Resolves or rejects when its stream has ended. */
  async run(opening: Promise<AgentStream>): Promise<void> {
    const stream = await opening;
    this.#stream = stream;
    if (this.#over) stream.reset();
    for (const bytes of this.#waiting.splice(0)) this.send(bytes);
    await stream.result;
  }

  /** What finds no room is lost, as datagrams are. */
  send(bytes: Uint8Array): void {
    this.#lastAt = this.#clock.now();
    const stream = this.#stream;
    if (stream === undefined) {
      if (this.#waiting.length < MAX_WAITING_DATAGRAMS) this.#waiting.push(bytes);
    } else if (bytes.length <= stream.sendCredit && !stream.congested) {
      stream.sendData(bytes);
    }
  }

  answered(bytes: number): void {
    this.#lastAt = this.#clock.now();
    this.#stream?.returnCredit(1, bytes);
  }

  end(): void {
    this.#over = true;
    this.#letGo?.();
    this.#stream?.reset();
  }

  #watch(): void {
    const left = this.#lastAt + PEER_IDLE_MS - this.#clock.now();
    if (left <= 0) return this.end();
    this.#letGo = this.#clock.after(left, () => {
      if (!this.#over) this.#watch();
    });
  }
}
