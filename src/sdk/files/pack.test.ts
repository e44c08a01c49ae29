import { expect, test } from "bun:test";
import { mkdirSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { createScratch } from "../../../test/support/trees.ts";
import { TarReader } from "../../lib/tar/reader.ts";
import { pack } from "./pack.ts";

/** More than what is gathered into one piece, so that the archive stands still in the middle of it. */
const LARGE = Buffer.alloc(2_000_000, "x");

/** Packs `d`, and does something to it after the first piece. Returns names with the content's length, and the notes. */
async function packWhile(path: string, disturb: () => void): Promise<{ names: string[]; notes: string[] }> {
  const notes: string[] = [];
  const pieces = pack(path, "d", { follow: false, onNote: (note) => void notes.push(note) });
  const disturbed = async function* (): AsyncGenerator<Uint8Array> {
    let first = true;
    for await (const piece of pieces) {
      if (first) disturb();
      first = false;
      yield Buffer.from(piece);
    }
  };
  const reader = new TarReader(disturbed());
  const names: string[] = [];
  for (let member = await reader.next(); member !== undefined; member = await reader.next()) {
    let bytes = 0;
    for (let part = await reader.content(); part !== undefined; part = await reader.content())
      bytes += part.length;
    names.push(`${member.name.toString()} ${bytes}`);
  }
  return { names, notes };
}

test("files and directories that vanish while a tree is packed are left out and said, and the rest is whole", async () => {
  using scratch = createScratch();
  mkdirSync(scratch.at("d/sub"), { recursive: true });
  for (const name of ["d/b", "d/sub/c", "d/z"]) writeFileSync(scratch.at(name), name);
  writeFileSync(scratch.at("d/a"), LARGE);
  const packed = await packWhile(scratch.at("d"), () => {
    for (const name of ["d/a", "d/b", "d/sub"]) rmSync(scratch.at(name), { recursive: true });
  });
  expect(packed.names).toEqual(["d/ 0", `d/a ${LARGE.length}`, "d/z 3"]);
  expect(packed.notes).toEqual(["d/b: it vanished meanwhile", "d/sub: it vanished meanwhile"]);
});

test("a file that becomes shorter while it is packed keeps the length that was announced, and it is said", async () => {
  using scratch = createScratch();
  mkdirSync(scratch.at("d"));
  writeFileSync(scratch.at("d/a"), LARGE);
  writeFileSync(scratch.at("d/b"), "b");
  const packed = await packWhile(scratch.at("d"), () => truncateSync(scratch.at("d/a"), 1000));
  expect(packed.names).toEqual(["d/ 0", `d/a ${LARGE.length}`, "d/b 1"]);
  expect(new Set(packed.notes)).toEqual(new Set(["d/a: it became shorter while it was read"]));
});
