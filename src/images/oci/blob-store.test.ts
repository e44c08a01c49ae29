import { describe, expect, test } from "bun:test";
import { mkdir, readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTemporaryDirectory, failureOf, inPieces } from "../testing.ts";
import { BlobStore } from "./blob-store.ts";
import { digestOf } from "./digest.ts";

const BYTES = Buffer.from("the bytes of a layer");
const FACTS = { digest: digestOf(BYTES), sizeBytes: BYTES.length };
const OTHER = Buffer.from("THE BYTES OF A LAYER");

/** Every file below, so that what was left behind is seen. */
async function filesIn(dir: string): Promise<string[]> {
  const entries = await readdir(dir, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
}

describe("BlobStore.put()", () => {
  test("keeps what has the right bytes, and reads the source of a known blob no more", async () => {
    await using dir = await createTemporaryDirectory();
    const store = new BlobStore(dir.path);
    expect(await store.find(FACTS)).toBeUndefined();
    expect(await store.list()).toEqual([]);
    const path = await store.put(FACTS, inPieces(BYTES, 3));
    expect(await readFile(path)).toEqual(BYTES);
    const unread = { [Symbol.asyncIterator]: () => expect.unreachable() };
    expect(await store.put(FACTS, unread)).toBe(path);
    expect(await store.find(FACTS)).toBe(path);
    expect(await store.find({ ...FACTS, sizeBytes: 1 })).toBeUndefined();
    const wide = { digest: digestOf(OTHER, "sha512"), sizeBytes: OTHER.length };
    await store.put(wide, inPieces(OTHER, 100));
    expect(await store.list()).toEqual([FACTS.digest, wide.digest].sort());
    await store.remove(FACTS.digest);
    await store.remove(FACTS.digest);
    expect(await store.list()).toEqual([wide.digest]);
  });

  test.each([
    ["other bytes", OTHER, "are others"],
    ["too few", BYTES.subarray(1), "has 19 bytes instead of 20"],
    ["too many", Buffer.concat([BYTES, BYTES]), "more than the 20 bytes"],
  ])("refuses %s and leaves nothing", async (_, bytes, message) => {
    await using dir = await createTemporaryDirectory();
    const error = await failureOf(new BlobStore(dir.path).put(FACTS, inPieces(bytes, 7)));
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain(message);
    expect(await filesIn(dir.path)).toEqual([]);
  });

  test("leaves nothing when it is cancelled or the source fails", async () => {
    await using dir = await createTemporaryDirectory();
    const store = new BlobStore(dir.path);
    expect((await failureOf(store.put(FACTS, inPieces(BYTES, 1), AbortSignal.abort()))).code).toBe(
      "cancelled",
    );
    async function* failing(): AsyncGenerator<Uint8Array> {
      yield BYTES.subarray(0, 5);
      throw new Error("torn");
    }
    const torn = await store.put(FACTS, failing()).catch((error: unknown) => error);
    expect(torn).toMatchObject({ message: "torn" });
    expect(await filesIn(dir.path)).toEqual([]);
  });
});

describe("BlobStore.openPartial()", () => {
  test("goes on where the last attempt ended", async () => {
    await using dir = await createTemporaryDirectory();
    const store = new BlobStore(dir.path);
    {
      await using partial = await store.openPartial(FACTS);
      await partial.writer.write(BYTES.subarray(0, 8));
    }
    expect(await store.list()).toEqual([]);
    await using partial = await new BlobStore(dir.path).openPartial(FACTS);
    expect(partial.writer.sizeBytes).toBe(8);
    await partial.writer.write(BYTES.subarray(8));
    expect(await readFile(await partial.publish())).toEqual(BYTES);
    expect(await filesIn(dir.path)).toEqual([FACTS.digest.slice(7)]);
  });

  test("starts over where what was left is wrong, and keeps no empty file", async () => {
    await using dir = await createTemporaryDirectory();
    const store = new BlobStore(dir.path);
    await mkdir(join(dir.path, "partial"));
    await writeFile(join(dir.path, "partial", FACTS.digest.replace(":", "-")), OTHER);
    {
      await using partial = await store.openPartial(FACTS);
      expect((await failureOf(partial.publish())).message).toContain("are others");
      expect(partial.writer.sizeBytes).toBe(0);
    }
    expect(await filesIn(dir.path)).toEqual([]);
    await writeFile(join(dir.path, "partial", FACTS.digest.replace(":", "-")), Buffer.concat([BYTES, BYTES]));
    await using partial = await store.openPartial(FACTS);
    expect(partial.writer.sizeBytes).toBe(0);
  });

  test("leaves a half-fetched blob to be pruned a week later", async () => {
    await using dir = await createTemporaryDirectory();
    const store = new BlobStore(dir.path);
    {
      await using partial = await store.openPartial(FACTS);
      await partial.writer.write(BYTES.subarray(0, 8));
    }
    const [name = ""] = await readdir(join(dir.path, "partial"));
    const old = new Date("2026-01-01T00:00:00Z");
    await utimes(join(dir.path, "partial", name), old, old);
    expect(await store.removeLeftovers(old.getTime() + 6 * 86_400_000)).toEqual([]);
    expect(await store.removeLeftovers(old.getTime() + 8 * 86_400_000)).toEqual([name]);
    expect(await filesIn(dir.path)).toEqual([]);
  });
});
