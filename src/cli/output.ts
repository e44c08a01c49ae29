/**
 * stdout and stderr of the command line. What is short is written by one system call, for setting up the runtime's streams takes
 * about three milliseconds, a fifth of a short command; what is long or needs a terminal goes through them.
 */
import { writeSync } from "node:fs";

/** Up to here a write does not wait for a reader that is slow, while the pipe is empty: pipe(7) holds 64 KiB. */
const AT_ONCE_BYTES = 32 * 1024;

export type OutputError = NodeJS.ErrnoException | undefined;

const streams = new Map<1 | 2, NodeJS.WriteStream>();
/** Settles when everything that the streams were given has been written. */
let written: Promise<unknown> = Promise.resolve();

/** The runtime's stream for stdout, to look at; what is to be said goes through `writeOutput`, which goes through it from now on. */
export function stdout(): NodeJS.WriteStream {
  return streamOf(1);
}

/** The runtime's stream for stderr. */
export function stderr(): NodeJS.WriteStream {
  return streamOf(2);
}

/** Writes to stdout (1) or stderr (2), in the order of the calls, and resolves when it is written, or with what went wrong. */
export async function writeOutput(fd: 1 | 2, data: string | Uint8Array): Promise<OutputError> {
  const bytes = typeof data === "string" ? Buffer.from(data) : data;
  // Two ways at once would mix up what was said first.
  const sent = streams.has(fd) || bytes.length > AT_ONCE_BYTES ? 0 : writeAtOnce(fd, bytes);
  if (typeof sent !== "number") return sent;
  if (sent === bytes.length) return undefined;
  const rest = new Promise<OutputError>((resolve) => {
    streamOf(fd).write(bytes.subarray(sent), (error) => resolve(error ?? undefined));
  });
  written = Promise.all([written, rest]);
  return await rest;
}

/**
 * Resolves when everything that `writeOutput` was given has been written. Each write is waited for by itself: Bun calls back an empty
 * one before what was written ahead of it has gone.
 */
export async function flushOutput(): Promise<void> {
  await written;
}

/** The number of bytes that went, or what went wrong. A descriptor that somebody made non-blocking may take a part only. */
function writeAtOnce(fd: 1 | 2, bytes: Uint8Array): number | NodeJS.ErrnoException {
  let sent = 0;
  try {
    while (sent < bytes.length) sent += writeSync(fd, bytes, sent);
  } catch (thrown) {
    const error = thrown as NodeJS.ErrnoException;
    if (error.code !== "EAGAIN") return error;
  }
  return sent;
}

function streamOf(fd: 1 | 2): NodeJS.WriteStream {
  const known = streams.get(fd);
  if (known !== undefined) return known;
  const stream = fd === 1 ? process.stdout : process.stderr;
  // Whoever wrote hears of it; an event that nobody hears would end the program.
  stream.on("error", () => undefined);
  streams.set(fd, stream);
  return stream;
}
