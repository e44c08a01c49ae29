import { expect, test } from "bun:test";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import pino from "pino";
import { createScratch } from "../../test/support/trees.ts";
import { TemplateShelf } from "./template-shelf.ts";

const id = (digit: number): string => `${String(digit).repeat(32)}-64-w`;

test("one that is larger than all may be goes alone, and the least recently used of the others", async () => {
  using scratch = createScratch();
  const removed: string[] = [];
  let clock = 1_000_000_000_000;
  const shelf = new TemplateShelf({
    dir: scratch.at("templates"),
    maxCount: 2,
    maxBytes: 1_000_000,
    log: pino({ level: "silent" }),
    now: () => (clock += 1000),
    onRemove: async (gone) => void removed.push(gone),
  });
  const publish = async (name: string, bytes: number): Promise<boolean> => {
    const stays = await shelf.publish(name, async (dir) => {
      await writeFile(join(dir, "disk.ext4"), Buffer.alloc(bytes, 1));
      return { diskMib: 64, facts: { image: "d", imageName: "img", workspace: "/repo" } };
    });
    await shelf.open(name);
    return stays;
  };
  expect(await publish(id(1), 1000)).toBe(true);
  expect(await publish(id(2), 1000)).toBe(true);
  expect(await publish(id(3), 3_000_000)).toBe(false);
  expect(removed).toEqual([id(3)]);
  expect(shelf.list().map((template) => [template.id, template.workspace])).toEqual([
    [id(2), "/repo"],
    [id(1), "/repo"],
  ]);
  expect(await shelf.open(id(1))).toMatchObject({ id: id(1), diskMib: 64 });
  expect(await publish(id(4), 1000)).toBe(true);
  expect(removed).toEqual([id(3), id(2)]);
  expect(await shelf.open(id(2))).toBe(undefined);
  expect(shelf.ids().toSorted()).toEqual([id(1), id(4)]);
});
