/** The SHA-256 of a file. */
import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { abortError } from "./run-program.ts";

/** 64 hex digits. Reads the file in pieces, so that its size does not matter. Errors: `cancelled`, those of the file system. */
export async function hashFile(path: string, signal?: AbortSignal): Promise<string> {
  const hash = createHash("sha256");
  const stream = createReadStream(path, { highWaterMark: 1024 * 1024 });
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    if (signal?.aborted === true) throw abortError(signal);
    hash.update(chunk);
  }
  return hash.digest("hex");
}
