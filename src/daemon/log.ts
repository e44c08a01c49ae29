/** The daemon's log: JSON lines, each with the id of the operation that it was written for. */
import { closeSync, existsSync, openSync, renameSync, statSync, writeSync } from "node:fs";
import pino, { type Logger } from "pino";
import { operationFields } from "./operation-id.ts";

/** A log that is longer is set aside as `<path>.1`, in place of what was there, and begun anew. */
const LOG_BYTES = 8 * 1024 * 1024;

/** A log that `write` gets the lines of. */
export function createLog(level: string, write: (line: string) => void): Logger {
  return pino({ level, base: { pid: process.pid }, mixin: operationFields }, { write });
}

/** Appends to the file at `path`, which is made, the user's alone, when it is not there. `maxBytes`: about as long as it may get. */
export function createFileLog(path: string, level: string, maxBytes: number = LOG_BYTES): Logger {
  const file = new LogFile(path, maxBytes);
  return createLog(level, (line) => file.write(line));
}

class LogFile {
  readonly #path: string;
  readonly #maxBytes: number;
  #size: number;
  #fd: number;

  constructor(path: string, maxBytes: number) {
    this.#path = path;
    this.#maxBytes = maxBytes;
    this.#size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
    this.#fd = openSync(path, "a", 0o600);
  }

  /** A disk that is full, or has become read-only, costs log lines, never an operation. */
  write(line: string): void {
    try {
      if (this.#size > this.#maxBytes) this.#beginAnew();
      this.#size += writeSync(this.#fd, line);
    } catch {
      // Where else should it be said?
    }
  }

  /** Where that cannot be, the old one goes on, and it is tried again when as much has been written again. */
  #beginAnew(): void {
    this.#size = 0;
    try {
      // Somebody may have deleted it.
      if (existsSync(this.#path)) renameSync(this.#path, `${this.#path}.1`);
      const fd = openSync(this.#path, "a", 0o600);
      closeSync(this.#fd);
      this.#fd = fd;
    } catch (error) {
      writeSync(this.#fd, `${JSON.stringify({ level: 40, msg: `this log grows on: ${String(error)}` })}\n`);
    }
  }
}
