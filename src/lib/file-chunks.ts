/**
 * Reads a file from its start in chunks, into memory that is used again. What the host has in memory is taken at once, which costs less
 * than asking another thread for it; the rest is read while the reader of the chunks is busy with the last.
 */
import { type FileHandle, open } from "node:fs/promises";
import { setImmediate } from "node:timers/promises";
import { readCached, SystemCallError } from "./libc.ts";

/** One in use, one being filled. */
const BUFFERS = 2;
/** So many chunks that were in memory in a row, and others get a turn. */
const CHUNKS_A_TURN = 4;

/**
 * Each chunk is as large as asked for, but for the last, and valid until the next is asked for. The file must not become shorter
 * meanwhile. Errors: those of open(2) and read(2).
 */
export async function* readFileChunks(path: string, chunkBytes: number): AsyncGenerator<Buffer> {
  await using file = await open(path);
  const buffers = Array.from({ length: BUFFERS }, () => Buffer.allocUnsafeSlow(chunkBytes));
  const fill = async (place: number): Promise<Buffer> => {
    const buffer = buffers[place % BUFFERS] ?? Buffer.alloc(0);
    const from = place * chunkBytes;
    let held = takeCached(file, buffer, from);
    if (held === chunkBytes && place % CHUNKS_A_TURN === 0) await setImmediate();
    while (held < chunkBytes) {
      const { bytesRead } = await file.read(buffer, held, chunkBytes - held, from + held);
      if (bytesRead === 0) break;
      held += bytesRead;
    }
    return buffer.subarray(0, held);
  };
  let coming = fill(0);
  try {
    for (let place = 1; ; place += 1) {
      const chunk = await coming;
      if (chunk.length === 0) return;
      coming = fill(place);
      yield chunk;
      if (chunk.length < chunkBytes) return;
    }
  } finally {
    // Nothing reads into the buffers any more; what it had to say, nobody asked for.
    await coming.then(undefined, () => undefined);
  }
}

/** How much of it could be had without waiting. */
function takeCached(file: FileHandle, into: Buffer, offset: number): number {
  try {
    return readCached(file.fd, into, offset);
  } catch (error) {
    // It has to be waited for, or this file system cannot tell: whatever is wrong otherwise, the read that waits says.
    if (error instanceof SystemCallError) return 0;
    throw error;
  }
}
