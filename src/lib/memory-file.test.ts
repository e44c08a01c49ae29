import { expect, test } from "bun:test";
import { availableMemoryBytes, openMemoryFile } from "./memory-file.ts";

test("openMemoryFile() makes a file of its own that has no name", async () => {
  await using one = await openMemoryFile("test");
  await using other = await openMemoryFile("test");
  await one.write(Buffer.from("one"), 0, 3, 1_000_000);
  const bytes = Buffer.alloc(3);
  await one.read(bytes, 0, 3, 1_000_000);
  expect(bytes.toString()).toBe("one");
  expect(await one.stat()).toMatchObject({ size: 1_000_003, nlink: 0 });
  expect((await other.stat()).size).toBe(0);
});

test("availableMemoryBytes() is some of what there is", () => {
  expect(availableMemoryBytes()).toBeGreaterThan(16 * 1024 ** 2);
});
