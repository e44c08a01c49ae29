import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { unlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { removeTree } from "./remove-tree.ts";

function createDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "banger-remove-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test("removeTree() removes all of it, follows no link, and what is not there is well", async () => {
  using dir = createDirectory();
  const doomed = join(dir.path, "doomed");
  const kept = join(dir.path, "kept");
  mkdirSync(join(doomed, "a/b"), { recursive: true });
  writeFileSync(kept, "");
  symlinkSync(kept, join(doomed, "a/link"));
  await removeTree(doomed);
  await removeTree(doomed);
  expect([doomed, kept].map((path) => existsSync(path))).toEqual([false, true]);
});

test("removeTree() leaves nothing when others take files out of it meanwhile", async () => {
  using dir = createDirectory();
  const names = ["a", "b", "c", "v.sock", "z"];
  for (let round = 0; round < 300; round += 1) {
    const doomed = join(dir.path, String(round));
    mkdirSync(doomed);
    for (const name of names) writeFileSync(join(doomed, name), "");
    const removed = removeTree(doomed);
    // Who comes first is left to chance: rm alone leaves the directory in every twelfth round.
    const taken = ["b", "z"].map((name) => unlink(join(doomed, name)).catch(() => undefined));
    await removed;
    expect(existsSync(doomed)).toBe(false);
    await Promise.all(taken);
  }
});
