/**
 * Recognises compressed data by its magic bytes and decompresses it: gzip and zstd with the runtime, xz and
 * LZ4 with the host's programs. Bombs are bounded by the caller's limit.
 */

import { Readable } from "node:stream";
import { createGunzip, createZstdDecompress } from "node:zlib";
import { BangerError } from "../model/errors.ts";
import { type ProgramEnd, startProgram } from "./run-program.ts";

/** `lz4-legacy` is the frameless form that the Linux build makes with `lz4 -l`. */
export type Compression = "gzip" | "xz" | "zstd" | "lz4-legacy";

const MAGICS: readonly (readonly [Compression, readonly number[]])[] = [
  ["gzip", [0x1f, 0x8b]], // RFC 1952
  ["xz", [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]], // The .xz File Format 1.2.1, 2.1.1.1
  ["zstd", [0x28, 0xb5, 0x2f, 0xfd]], // RFC 8878
  ["lz4-legacy", [0x02, 0x21, 0x4c, 0x18]], // lz4_Frame_format.md, "Legacy frame"
];

/**
 * What `MAGIC_BYTES` bytes from the start of the data are enough to tell; undefined when it is none of these.
 */
export function detectCompression(start: Uint8Array): Compression | undefined {
  return MAGICS.find(([, magic]) => magic.every((byte, index) => start[index] === byte))?.[0];
}

export const MAGIC_BYTES = 6;

export interface DecompressOptions {
  /** More output than this is `invalid_argument`. */
  readonly limitBytes: number;
  /** What the data is, for messages. */
  readonly what: string;
  readonly signal?: AbortSignal;
}

/**
 * Decompresses a stream. That the input was cut is noticed for gzip and xz only: a legacy LZ4 stream has no
 * end mark, and Bun 1.4.5 does not complain about a missing end of zstd; the caller must know the size or an
 * end mark of the contents. Errors: `invalid_argument` (damaged, truncated, or larger than the limit),
 * `unavailable` (the host program is missing). An error of the source passes through. Ends its program when
 * the reader stops early.
 */
export async function* decompressStream(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array> {
  let sizeBytes = 0;
  for await (const chunk of openDecoder(source, compression, options)) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > options.limitBytes) {
      throw new BangerError(
        "invalid_argument",
        `${options.what} is larger than ${options.limitBytes} bytes when decompressed`,
      );
    }
    yield chunk;
  }
}

/** The same for data in memory. */
export async function decompressBytes(
  bytes: Uint8Array,
  compression: Compression,
  options: DecompressOptions,
): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of decompressStream(chunksOf(bytes), compression, options)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function openDecoder(
  source: AsyncIterable<Uint8Array>,
  compression: Compression,
  options: DecompressOptions,
): AsyncIterable<Uint8Array> {
  switch (compression) {
    case "gzip":
      return throughTransform(source, createGunzip(), options.what);
    case "zstd":
      return throughTransform(source, createZstdDecompress(), options.what);
    case "xz":
      return throughProgram(source, ["xz", "-dc"], "xz-utils", options);
    case "lz4-legacy":
      return throughProgram(source, ["lz4", "-dc"], "lz4", options);
  }
}

async function* throughTransform(
  source: AsyncIterable<Uint8Array>,
  transform: ReturnType<typeof createGunzip> | ReturnType<typeof createZstdDecompress>,
  what: string,
): AsyncGenerator<Uint8Array> {
  const watched = watchSource(source);
  const input = Readable.from(watched.chunks, { objectMode: false });
  input.once("error", (error) => transform.destroy(error));
  input.pipe(transform);
  try {
    for await (const chunk of transform as AsyncIterable<Uint8Array>) yield chunk;
  } catch (error) {
    throw watched.failure(damaged(what, error));
  } finally {
    input.destroy();
    transform.destroy();
  }
}

async function* throughProgram(
  source: AsyncIterable<Uint8Array>,
  argv: readonly [string, ...string[]],
  aptPackage: string,
  options: DecompressOptions,
): AsyncGenerator<Uint8Array> {
  const program = startProgram(argv, {
    stdin: "pipe",
    stdout: "pipe",
    aptPackage,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
    failure: (end: ProgramEnd) => damaged(options.what, end.stderrTail),
  });
  const watched = watchSource(source);
  const input = Readable.from(watched.chunks, { objectMode: false });
  // A failing source must look like a failing program, or the reader would take a part for the whole.
  input.once("error", () => void program.stop());
  if (program.stdin !== undefined) input.pipe(program.stdin);
  try {
    if (program.stdout !== undefined) yield* program.stdout as AsyncIterable<Uint8Array>;
    await program.done;
  } catch (error) {
    throw watched.failure(error);
  } finally {
    input.destroy();
    await program.stop();
  }
}

/** Remembers whether it was the source that failed, which the streams in between would blur. */
function watchSource(source: AsyncIterable<Uint8Array>): {
  chunks: AsyncGenerator<Uint8Array>;
  failure: (otherwise: unknown) => unknown;
} {
  let failed: unknown;
  async function* chunks(): AsyncGenerator<Uint8Array> {
    try {
      yield* source;
    } catch (error) {
      failed = error;
      throw error;
    }
  }
  return { chunks: chunks(), failure: (otherwise) => failed ?? otherwise };
}

function damaged(what: string, cause: unknown): BangerError {
  return new BangerError("invalid_argument", `${what} is damaged or truncated: it cannot be decompressed`, {
    cause,
  });
}

async function* chunksOf(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  const step = 1024 * 1024;
  for (let offset = 0; offset < bytes.byteLength; offset += step) yield bytes.subarray(offset, offset + step);
}
