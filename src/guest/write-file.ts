/** A file written into the guest: content goes out as fast as the guest takes it, and the file is there as a whole or not at all. */
import { withDeadline } from "../lib/deadline.ts";
import { BangerError } from "../model/errors.ts";
import type { AgentStream, StreamHandlers } from "./stream.ts";

export interface WriteFileOptions {
  /** Permissions, at most 0o7777. */
  readonly mode: number;
  readonly content: Uint8Array | AsyncIterable<Uint8Array>;
  /** Owner of the file and of directories made for it; default: root. */
  readonly uid?: number;
  readonly gid?: number;
  /** How long all of it may take. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

type OpenStream = (request: Readonly<Record<string, unknown>>, handlers: StreamHandlers) => AgentStream;

/** Writes `path`, absolute in the guest; returns the size. Errors: see `Agent.writeFile`. */
export async function writeFile(open: OpenStream, path: string, options: WriteFileOptions): Promise<number> {
  const { mode, content, uid = 0, gid = 0, timeoutMs, signal } = options;
  let wake = Promise.withResolvers<void>();
  const stream = open(
    { kind: "write", path, mode, uid, gid },
    {
      onCredit: () => {
        wake.resolve();
        wake = Promise.withResolvers();
      },
    },
  );
  const over = stream.result.then(
    () => undefined,
    () => undefined,
  );
  const room = async (): Promise<void> => await Promise.race([wake.promise, over]);
  try {
    const work = send(stream, content, room);
    return await withDeadline(work, {
      ms: timeoutMs,
      what: `writing ${path} in the guest`,
      ...(signal && { signal }),
    });
  } finally {
    // The guest removes what it has of the file. After the end it is nothing.
    stream.reset();
  }
}

async function send(
  stream: AgentStream,
  content: WriteFileOptions["content"],
  room: () => Promise<void>,
): Promise<number> {
  let sent = 0;
  for await (const piece of content instanceof Uint8Array ? [content] : content) {
    for (let at = 0; at < piece.length && !stream.over; ) {
      const part = piece.subarray(at, at + stream.sendCredit);
      if (part.length === 0) await room();
      else stream.sendData(part);
      at += part.length;
    }
    // The guest has given its reason; the rest of the content is not wanted.
    if (stream.over) break;
    sent += piece.length;
  }
  stream.sendEnd();
  const { bytes } = await stream.result;
  if (bytes === sent) return sent;
  throw new BangerError(
    "guest_error",
    `the guest agent wrote ${String(bytes).slice(0, 20)} bytes of ${sent}`,
  );
}
