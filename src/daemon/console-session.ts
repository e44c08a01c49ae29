/** One reader of a console as it grows: the end of what is there, then what comes, at the reader's pace, until the VM is deleted. */
import { closeSync, existsSync, fstatSync, openSync, readSync, watch } from "node:fs";
import { basename, dirname } from "node:path";
import type { ServerWebSocket } from "bun";
import type { SocketData, SocketSession } from "./router.ts";

/** How much of what is there already is sent. */
const TAIL_BYTES = 64 * 1024;
const PIECE_BYTES = 64 * 1024;
const HIGH_WATER_BYTES = 256 * 1024;

export class ConsoleSession implements SocketSession {
  readonly #path: string;
  #watcher: Disposable | undefined;
  #file: number | undefined;
  #at = 0;
  #socket: ServerWebSocket<SocketData> | undefined;

  constructor(path: string) {
    this.#path = path;
  }

  open(socket: ServerWebSocket<SocketData>): void {
    this.#socket = socket;
    // The directory is watched: the file comes with the first start.
    const directory = dirname(this.#path);
    // The VM was deleted meanwhile.
    if (!existsSync(directory)) {
      socket.close(1000);
      return;
    }
    const watcher = watch(directory, (_, name) => {
      if (name === basename(this.#path)) this.#pump();
      // It was never started.
      else if (this.#file === undefined && !existsSync(directory)) this.#socket?.close(1000);
    });
    watcher.on("error", () => this.#socket?.close(1000));
    this.#watcher = { [Symbol.dispose]: () => watcher.close() };
    this.#pump();
  }

  message(): void {
    this.#socket?.close(1008, "this socket only sends");
  }

  drain(): void {
    this.#pump();
  }

  close(): void {
    this.#socket = undefined;
    this.#watcher?.[Symbol.dispose]();
    if (this.#file !== undefined) closeSync(this.#file);
    this.#file = undefined;
  }

  #pump(): void {
    // What was seen before the client went is told afterwards, too.
    if (this.#socket === undefined) return;
    const file = this.#open();
    if (file === undefined) return;
    const { size, nlink } = fstatSync(file);
    // A console that was cut back begins anew.
    if (size < this.#at) this.#at = 0;
    while (
      this.#socket !== undefined &&
      this.#at < size &&
      this.#socket.getBufferedAmount() < HIGH_WATER_BYTES
    ) {
      const bytes = Buffer.alloc(Math.min(PIECE_BYTES, size - this.#at));
      const read = readSync(file, bytes, 0, bytes.length, this.#at);
      if (read === 0) return;
      this.#at += read;
      this.#socket.send(bytes.subarray(0, read));
    }
    // The file lives as long as its VM.
    if (nlink === 0 && this.#at >= size) this.#socket?.close(1000);
  }

  #open(): number | undefined {
    if (this.#file !== undefined) return this.#file;
    try {
      this.#file = openSync(this.#path, "r");
      this.#at = Math.max(0, fstatSync(this.#file).size - TAIL_BYTES);
    } catch (error) {
      // Not there before the first start; the watcher tells when it is.
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    }
    return this.#file;
  }
}
