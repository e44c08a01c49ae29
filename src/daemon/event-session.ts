/** One reader of the events: what is kept after its cursor, then what happens, in order and without gaps. */
import type { ServerWebSocket } from "bun";
import { BangerError } from "../model/errors.ts";
import type { EventTable } from "../store/events.ts";
import type { SocketData, SocketSession } from "./router.ts";

/** Events that are read from the log at once, and a socket that holds more than this many bytes waits for its reader. */
const BATCH = 500;
const HIGH_WATER_BYTES = 256 * 1024;

export class EventSession implements SocketSession {
  readonly #events: EventTable;
  #cursor: number;
  #listening: Disposable | undefined;
  #socket: ServerWebSocket<SocketData> | undefined;

  /** `after`: the last cursor that the reader has seen; undefined: from now on. */
  constructor(events: EventTable, after: number | undefined) {
    this.#events = events;
    this.#cursor = after ?? events.newest();
  }

  open(socket: ServerWebSocket<SocketData>): void {
    this.#socket = socket;
    this.#listening = this.#events.listen(() => this.#pump());
    this.#pump();
  }

  message(): void {
    // A reader has nothing to say.
    const error = new BangerError("invalid_argument", "this socket only sends");
    this.#socket?.close(1008, error.message);
  }

  drain(): void {
    this.#pump();
  }

  close(): void {
    this.#listening?.[Symbol.dispose]();
    this.#socket = undefined;
  }

  /** Sends what the log has after the cursor, as long as the reader keeps up. */
  #pump(): void {
    while (this.#socket !== undefined && this.#socket.getBufferedAmount() < HIGH_WATER_BYTES) {
      const batch = this.#events.after(this.#cursor, BATCH);
      if (batch.length === 0) return;
      for (const event of batch) this.#socket.send(JSON.stringify(event));
      this.#cursor = batch.at(-1)?.cursor ?? this.#cursor;
    }
  }
}
