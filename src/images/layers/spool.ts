/** A tar that is read while it is kept. */
import { open } from "node:fs/promises";

/** Passes on what it writes to a new file, which is whole when it ends. */
export async function* spool(tar: AsyncIterable<Uint8Array>, path: string): AsyncGenerator<Buffer> {
  await using file = await open(path, "wx", 0o600);
  for await (const { buffer, byteOffset, byteLength } of tar) {
    const chunk = Buffer.from(buffer, byteOffset, byteLength);
    await file.appendFile(chunk);
    yield chunk;
  }
}
