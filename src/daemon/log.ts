/** The daemon's log: JSON lines, each with the id of the operation that it was written for. */
import { openSync, renameSync, statSync, writeSync } from "node:fs";
import pino, { type Logger } from "pino";
import { operationFields } from "./operation-id.ts";

/** A log that is longer is set aside as `<path>.1` when the next daemon starts. */
const LOG_BYTES = 8 * 1024 * 1024;

/** A log that `write` gets the lines of. */
export function createLog(level: string, write: (line: string) => void): Logger {
  return pino({ level, base: { pid: process.pid }, mixin: operationFields }, { write });
}

/** Appends to the file at `path`, which is made, the user's alone, when it is not there. */
export function createFileLog(path: string, level: string): Logger {
  const size = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  if (size > LOG_BYTES) renameSync(path, `${path}.1`);
  const file = openSync(path, "a", 0o600);
  return createLog(level, (line) => writeLine(file, line));
}

/** A disk that is full, or has become read-only, costs log lines, never an operation. */
function writeLine(file: number, line: string): void {
  try {
    writeSync(file, line);
  } catch {
    // Where else should it be said?
  }
}
