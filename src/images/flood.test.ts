/** Archives that are made to use up the host: refused with the default limits, with the limit's name, and nothing is left. */
import { describe, expect, test } from "bun:test";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import type { BangerError } from "../model/errors.ts";
import { ImageBlobs } from "./blobs.ts";
import { importTar } from "./import.ts";
import { layerTar } from "./layers/testing.ts";
import { BlobStore } from "./oci/blob-store.ts";
import { END_MARK } from "./tar/writer.ts";
import { createTemporaryDirectory, failureOf } from "./testing.ts";

const MIB = 1024 * 1024;
const ONE = layerTar([{ path: "a", content: "x".repeat(2000) }]);

/** What the refused import said; the caller knows that it was refused. Fails when anything is left. */
async function refusalOf(bytes: Uint8Array): Promise<BangerError> {
  await using dir = await createTemporaryDirectory();
  const [imagesDir, scratchDir] = [join(dir.path, "images"), join(dir.path, "scratch")];
  await mkdir(imagesDir);
  const path = join(dir.path, "archive");
  await writeFile(path, bytes);
  const store = new BlobStore(join(imagesDir, "blobs"));
  const error = await failureOf(importTar(path, { blobs: new ImageBlobs(imagesDir), store, scratchDir }));
  expect(await readdir(imagesDir)).toEqual([]);
  return error;
}

/** The header of a file; what follows is the caller's. */
function header(path: string, sizeBytes: number): Buffer {
  return layerTar([{ path, sizeBytes }]).subarray(0, -END_MARK.length);
}

/** Ten thousand names, a hundred times: gzip may have many members. */
function millionEntries(): Buffer {
  const headers = Array.from({ length: 10_000 }, (_, file) => header(`directory/file-${file}`, 0));
  const member = gzipSync(Buffer.concat(headers), { level: 1 });
  return Buffer.concat([...Array.from({ length: 100 }, () => member), gzipSync(END_MARK)]);
}

/** A file of zeros that grows a thousandfold. */
function bomb(compress: (bytes: Uint8Array) => Buffer): Buffer {
  const zeros = compress(Buffer.alloc(32 * MIB));
  const file = header("zeros", 64 * 32 * MIB);
  return Buffer.concat([compress(file), ...Array.from({ length: 64 }, () => zeros), compress(END_MARK)]);
}

describe("importTar() refuses", () => {
  test.each<[string, () => Uint8Array, string]>([
    ["a million entries", millionEntries, "images.max_entries"],
    ["a bomb of gzip", () => bomb((bytes) => gzipSync(bytes, { level: 9 })), "images.max_ratio"],
    ["a bomb of zstd", () => bomb((bytes) => zstdCompressSync(bytes)), "images.max_ratio"],
    ["a file that says to have a terabyte", () => header("big", 2 ** 40), "images.max_size"],
  ])("%s, and says which limit it is", async (_, make, key) => {
    const error = await refusalOf(make());
    expect(error.code).toBe("invalid_argument");
    expect(error.cure).toContain(key);
  });

  test.each<[string, () => Uint8Array, string]>([
    ["a file that says to be larger than it is", () => ONE.subarray(0, 1024), "truncated"],
    ["something behind a tar", () => Buffer.concat([ONE, ONE]), "bytes after its end"],
    ["something behind gzip", () => Buffer.concat([gzipSync(ONE), Buffer.from("x".repeat(99))]), "damaged"],
    ["something behind zstd", () => Buffer.concat([zstdCompressSync(ONE), Buffer.from("x".repeat(99))]), ""],
  ])("%s", async (_, make, says) => {
    const error = await refusalOf(make());
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain(says);
  });
});
