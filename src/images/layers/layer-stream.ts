/**
 * A tar as it streams out of a layer's blob or an archive: plain or compressed by its first bytes, bounded in size and ratio,
 * and with nothing after its end.
 */
import type { Transform } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { type Compression, decompressStream, detectCompression, MAGIC_BYTES } from "../../lib/decompress.ts";
import { readFileChunks } from "../../lib/file-chunks.ts";
import { abortError } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import { type ImageBudget, limitError } from "../tar/limits.ts";

/** Small enough for the memory, large enough that the turns between threads do not count. */
const CHUNK_BYTES = 256 * 1024;

/** A file with a layer's tar in it. */
export interface LayerFile {
  /** Absolute. */
  readonly path: string;
  /** What it is called in messages: `layer 3 (sha256:12ab…)`, `rootfs.tar`. */
  readonly name: string;
}

export interface OpenTarOptions {
  readonly budget: ImageBudget;
  readonly signal?: AbortSignal;
  /** A chunk is valid until the next is asked for; default: for as long as one of the source, which costs more memory. */
  readonly fleeting?: boolean;
}

/**
 * The uncompressed bytes of a file, each chunk valid until the next is asked for. Lets go of it when the reader stops early. Errors:
 * those of `openTar`.
 */
export function openLayer(layer: LayerFile, options: OpenTarOptions): AsyncGenerator<Buffer> {
  return openTar(readFileChunks(layer.path, CHUNK_BYTES), layer.name, { ...options, fleeting: true });
}

/**
 * The uncompressed bytes. A cut is noticed in gzip and xz, and in zstd by whoever knows the digest or the end mark of what is
 * inside (Bun's does not say). Errors: `invalid_argument` (damaged, cut, trailing garbage, over a limit), `unavailable` (a
 * program for a rare compression is missing), `cancelled`, and those of the source.
 */
export async function* openTar(
  source: AsyncIterable<Buffer>,
  name: string,
  { budget, signal, fleeting = false }: OpenTarOptions,
): AsyncGenerator<Buffer> {
  const input = await Input.open(source);
  let bytes = 0;
  for await (const chunk of decode(input, name, { budget, fleeting })) {
    if (signal?.aborted === true) throw abortError(signal);
    bytes += chunk.length;
    if (bytes > budget.limits.maxBytes) {
      throw limitError("maxBytes", budget.limits.maxBytes, `${name} has more uncompressed bytes than`);
    }
    budget.checkRatio(bytes, input.sizeBytes);
    yield chunk;
  }
}

/** A source whose start was looked at, and that counts. */
class Input {
  readonly compression: Compression | undefined;
  /** What has been read so far. */
  sizeBytes = 0;
  /** Whether it was the source that failed, which decoders would blur, and why. */
  failed = false;
  failure: unknown;
  readonly #start: readonly Buffer[];
  readonly #rest: AsyncIterator<Buffer>;

  private constructor(start: readonly Buffer[], rest: AsyncIterator<Buffer>) {
    this.#start = start;
    this.#rest = rest;
    this.compression = detectCompression(Buffer.concat(start));
  }

  static async open(source: AsyncIterable<Buffer>): Promise<Input> {
    const rest = source[Symbol.asyncIterator]();
    const start: Buffer[] = [];
    let held = 0;
    while (held < MAGIC_BYTES) {
      const next = await rest.next();
      if (next.done === true) break;
      // A copy, unless it is enough: the source may use the memory again.
      const enough = held + next.value.length >= MAGIC_BYTES;
      start.push(enough ? next.value : Buffer.from(next.value));
      held += next.value.length;
    }
    return new Input(start, rest);
  }

  async *chunks(): AsyncGenerator<Buffer> {
    try {
      for (const chunk of this.#start) {
        this.sizeBytes += chunk.length;
        yield chunk;
      }
      for (let next = await this.#rest.next(); next.done !== true; next = await this.#rest.next()) {
        this.sizeBytes += next.value.length;
        yield next.value;
      }
    } catch (error) {
      this.failed = true;
      this.failure = error;
      throw error;
    } finally {
      await this.#rest.return?.(undefined);
    }
  }
}

async function* decode(
  input: Input,
  name: string,
  { budget, fleeting }: { readonly budget: ImageBudget; readonly fleeting: boolean },
): AsyncGenerator<Buffer> {
  const { compression } = input;
  if (compression === undefined) yield* input.chunks();
  else if (compression === "gzip" || compression === "zstd")
    yield* inflate(input, name, { compression, fleeting });
  else {
    const options = { what: name, limitBytes: budget.limits.maxBytes };
    for await (const chunk of decompressStream(input.chunks(), compression, options)) {
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
  }
}

async function* inflate(
  input: Input,
  name: string,
  { compression, fleeting }: { readonly compression: "gzip" | "zstd"; readonly fleeting: boolean },
): AsyncGenerator<Buffer> {
  const gzip = compression === "gzip";
  const options = { chunkSize: CHUNK_BYTES };
  const decoder = gzip ? createGunzip(options) : createZstdDecompress(options);
  void feed(decoder, input.chunks());
  try {
    for await (const chunk of decoder as AsyncIterable<Buffer>) {
      yield chunk;
      if (fleeting) release(chunk);
    }
  } catch (error) {
    throw input.failed ? input.failure : damaged(name, error);
  } finally {
    decoder.destroy();
  }
  // Behind gzip there is nothing or zeros, or the decoder would have failed: some programs pad with them.
  if (!gzip && decoder.bytesWritten !== input.sizeBytes) {
    throw new BangerError("invalid_argument", `${name} has bytes after the end of its compressed contents`);
  }
}

/**
 * Gives back what the decoder has filled to its end, and therefore lets go of. The collector would in time, but it has no hurry on a
 * host with much memory.
 */
function release({ buffer, byteOffset, byteLength }: Buffer): void {
  const isDone = buffer.byteLength === CHUNK_BYTES && byteOffset + byteLength === CHUNK_BYTES;
  if (isDone && buffer instanceof ArrayBuffer) buffer.transfer(0);
}

/** Asks for a chunk when the decoder is through with the one before. Never rejects: what fails, the decoder's reader hears. */
async function feed(decoder: Transform, chunks: AsyncGenerator<Buffer>): Promise<void> {
  // A decoder that is destroyed while it has a chunk never says that it is through.
  const gone = new Promise<void>((resolve) => void decoder.once("close", resolve));
  try {
    for await (const chunk of chunks) {
      if (decoder.destroyed) return;
      await Promise.race([gone, new Promise<void>((resolve) => void decoder.write(chunk, () => resolve()))]);
    }
    decoder.end();
  } catch (error) {
    decoder.destroy(error instanceof Error ? error : new Error(String(error)));
  }
}

function damaged(name: string, cause: unknown): BangerError {
  const why = cause instanceof Error ? ` (${cause.message})` : "";
  return new BangerError(
    "invalid_argument",
    `${name} is damaged or truncated: it cannot be decompressed${why}`,
    { cause },
  );
}
