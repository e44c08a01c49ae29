/**
 * A tar as it streams out of a layer's blob or an archive: plain or compressed by its first bytes, bounded in size and ratio,
 * and with nothing after its end.
 */
import { createReadStream } from "node:fs";
import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { type Compression, decompressStream, detectCompression, MAGIC_BYTES } from "../../lib/decompress.ts";
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
}

/** The uncompressed bytes of a file. Lets go of it when the reader stops early. Errors: those of `openTar`. */
export async function* openLayer(layer: LayerFile, options: OpenTarOptions): AsyncGenerator<Buffer> {
  const file = createReadStream(layer.path, { highWaterMark: CHUNK_BYTES });
  try {
    yield* openTar(file as AsyncIterable<Buffer>, layer.name, options);
  } finally {
    file.destroy();
  }
}

/**
 * The uncompressed bytes. A cut is noticed in gzip and xz, and in zstd by whoever knows the digest or the end mark of what is
 * inside (Bun's does not say). Errors: `invalid_argument` (damaged, cut, trailing garbage, over a limit), `unavailable` (a
 * program for a rare compression is missing), `cancelled`, and those of the source.
 */
export async function* openTar(
  source: AsyncIterable<Buffer>,
  name: string,
  { budget, signal }: OpenTarOptions,
): AsyncGenerator<Buffer> {
  const input = await Input.open(source);
  let bytes = 0;
  for await (const chunk of decode(input, name, budget)) {
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
      start.push(next.value);
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

async function* decode(input: Input, name: string, budget: ImageBudget): AsyncGenerator<Buffer> {
  const { compression } = input;
  if (compression === undefined) yield* input.chunks();
  else if (compression === "gzip" || compression === "zstd") yield* inflate(input, name, compression);
  else {
    const options = { what: name, limitBytes: budget.limits.maxBytes };
    for await (const chunk of decompressStream(input.chunks(), compression, options)) {
      yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    }
  }
}

async function* inflate(input: Input, name: string, compression: "gzip" | "zstd"): AsyncGenerator<Buffer> {
  const gzip = compression === "gzip";
  const options = { chunkSize: CHUNK_BYTES };
  const decoder = gzip ? createGunzip(options) : createZstdDecompress(options);
  const source = Readable.from(input.chunks(), { objectMode: true, highWaterMark: 2 });
  source.once("error", (error) => decoder.destroy(error));
  source.pipe(decoder);
  try {
    yield* decoder as AsyncIterable<Buffer>;
  } catch (error) {
    throw input.failed ? input.failure : damaged(name, error);
  } finally {
    source.destroy();
    decoder.destroy();
  }
  // Behind gzip there is nothing or zeros, or the decoder would have failed: some programs pad with them.
  if (!gzip && decoder.bytesWritten !== input.sizeBytes) {
    throw new BangerError("invalid_argument", `${name} has bytes after the end of its compressed contents`);
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
