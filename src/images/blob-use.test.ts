import { expect, test } from "bun:test";
import { BlobUse } from "./blob-use.ts";

test("BlobUse removes nothing while somebody uses blobs", async () => {
  const use = new BlobUse();
  const held = Promise.withResolvers<void>();
  const work = use.hold(async () => await held.promise);
  expect(await use.removeIfIdle(async () => "removed")).toBeUndefined();
  held.resolve();
  await work;
  expect(await use.removeIfIdle(async () => "removed")).toBe("removed");
});

test("BlobUse lets nobody begin before a removal has ended, also one that failed", async () => {
  const use = new BlobUse();
  const said: string[] = [];
  const held = Promise.withResolvers<void>();
  const removal = use.removeIfIdle(async () => {
    await held.promise;
    said.push("removed");
    throw new Error("disk");
  });
  const work = use.hold(async () => void said.push("began"));
  held.resolve();
  expect(await removal.catch((error: unknown) => error)).toMatchObject({ message: "disk" });
  await work;
  expect(said).toEqual(["removed", "began"]);
});
