import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { BangerError } from "../model/errors.ts";
import { type Compression, decompressBytes, decompressStream, detectCompression } from "./decompress.ts";
import { runProgram } from "./run-program.ts";

const text = Buffer.from("banger ".repeat(50_000));
const options = { what: "it", limitBytes: text.length };

async function packedForms(): Promise<readonly (readonly [Compression, Uint8Array])[]> {
  return [
    ["gzip", gzipSync(text)],
    ["zstd", zstdCompressSync(text)],
    ["xz", (await runProgram(["xz", "-c"], { stdin: text })).stdout],
    ["lz4-legacy", (await runProgram(["lz4", "-l", "-c"], { stdin: text })).stdout],
  ];
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "none",
    (error: unknown) => BangerError.from(error).code,
  );
}

describe("every compression", () => {
  test("is recognised and undone", async () => {
    for (const [compression, packed] of await packedForms()) {
      expect(detectCompression(packed)).toBe(compression);
      expect(Buffer.compare(await decompressBytes(packed, compression, options), text)).toBe(0);
    }
    expect(detectCompression(text)).toBeUndefined();
    expect(detectCompression(new Uint8Array(0))).toBeUndefined();
  });

  test("refuses more than the limit and a cut input", async () => {
    for (const [compression, packed] of await packedForms()) {
      const small = { ...options, limitBytes: text.length - 1 };
      expect(await codeOf(decompressBytes(packed, compression, small))).toBe("invalid_argument");
      // See the contract of decompressStream: these two do not notice.
      if (compression === "lz4-legacy" || compression === "zstd") continue;
      const cut = packed.subarray(0, packed.length - 12);
      expect(`${compression} ${await codeOf(decompressBytes(cut, compression, options))}`).toBe(
        `${compression} invalid_argument`,
      );
    }
  });

  test("passes an error of its source through, and lets its reader stop early", async () => {
    for (const [compression, packed] of await packedForms()) {
      async function* broken(): AsyncGenerator<Uint8Array> {
        yield packed.subarray(0, 20);
        throw new BangerError("not_found", "gone");
      }
      const read = async (source: AsyncIterable<Uint8Array>): Promise<void> => {
        for await (const _ of decompressStream(source, compression, options)) break;
      };
      expect(await codeOf(decompressAll(broken(), compression))).toBe("not_found");
      await read(once(packed));
    }
  });
});

async function decompressAll(source: AsyncIterable<Uint8Array>, compression: Compression): Promise<void> {
  for await (const chunk of decompressStream(source, compression, options)) expect(chunk).toBeDefined();
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
