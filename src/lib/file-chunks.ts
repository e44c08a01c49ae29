/** Reads a file from its start in chunks, the next while its reader is busy with the last, into memory that is used again. */
import { open } from "node:fs/promises";

/** One in use, one being filled. */
const BUFFERS = 2;

/**
 * Each chunk is as large as asked for, but for the last, and valid until the next is asked for. The file must not become shorter
 * meanwhile. Errors: those of open(2) and read(2).
 */
export async function* readFileChunks(path: string, chunkBytes: number): AsyncGenerator<Buffer> {
  await using file = await open(path);
  const buffers = Array.from({ length: BUFFERS }, () => Buffer.allocUnsafeSlow(chunkBytes));
  const fill = async (place: number): Promise<Buffer> => {
    const buffer = buffers[place % BUFFERS] ?? Buffer.alloc(0);
    let held = 0;
    while (held < chunkBytes) {
      const { bytesRead } = await file.read(buffer, held, chunkBytes - held, place * chunkBytes + held);
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
