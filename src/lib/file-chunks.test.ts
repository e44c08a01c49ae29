import { expect, test } from "bun:test";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readFileChunks } from "./file-chunks.ts";

async function chunkSizes(sizeBytes: number, chunkBytes: number): Promise<number[]> {
  const dir = await mkdtemp(join(tmpdir(), "banger-file-chunks-"));
  try {
    const contents = Buffer.from(Array.from({ length: sizeBytes }, (_, index) => index % 251));
    await writeFile(join(dir, "file"), contents);
    const copies: Buffer[] = [];
    for await (const chunk of readFileChunks(join(dir, "file"), chunkBytes)) copies.push(Buffer.from(chunk));
    expect(Buffer.concat(copies).equals(contents)).toBe(true);
    return copies.map(({ length }) => length);
  } finally {
    await rm(dir, { recursive: true });
  }
}

test.each([
  [0, []],
  [1, [1]],
  [10, [10]],
  [25, [10, 10, 5]],
  [40, [10, 10, 10, 10]],
])("readFileChunks() gives a file of %p bytes in pieces of 10", async (sizeBytes, sizes) => {
  expect(await chunkSizes(sizeBytes, 10)).toEqual(sizes);
});

test("readFileChunks() says which file is not there, and lets its reader stop early", async () => {
  const missing = readFileChunks("/nonexistent/file", 10).next();
  expect(await missing.catch((error: unknown) => error)).toMatchObject({ code: "ENOENT" });
  for await (const chunk of readFileChunks(import.meta.path, 10)) {
    expect(chunk.length).toBe(10);
    break;
  }
});

test("readFileChunks() lets others have their turn while it reads what is in memory", async () => {
  const dir = await mkdtemp(join(tmpdir(), "banger-chunks-"));
  try {
    await writeFile(join(dir, "file"), new Uint8Array(1000));
    let turns = 0;
    let reading = true;
    const take = (): void => {
      turns += 1;
      if (reading) setImmediate(take);
    };
    setImmediate(take);
    for await (const _ of readFileChunks(join(dir, "file"), 10));
    reading = false;
    expect(turns).toBeGreaterThanOrEqual(20);
  } finally {
    await rm(dir, { recursive: true });
  }
});
