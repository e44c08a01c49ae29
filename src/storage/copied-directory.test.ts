import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { refusal } from "../../test/support/refusal.ts";
import { createScratch } from "../../test/support/trees.ts";
import type { ErrorCode } from "../model/errors.ts";
import { copyDirectory, copyFailure } from "./copied-directory.ts";

test.each<readonly [string, ErrorCode]>([
  ["FATAL ERROR: Failed to write to output filesystem because No space left on device", "resource_exhausted"],
  ["Cannot open d/x because Permission denied, creating empty file", "permission_denied"],
  ["Cannot stat dir/file d/x because No such file or directory, ignoring", "conflict"],
  ["Failed to read file d/x, creating empty file", "conflict"],
  ["FATAL ERROR: something else", "internal"],
])("copyFailure() takes %j for %s, and names the directory", (words, code) => {
  const error = copyFailure("/srv/d", words);
  expect(error).toMatchObject({ code, message: `cannot copy the directory /srv/d: ${words}` });
  expect(error.cure === undefined).toBe(code === "internal");
});

test("copyDirectory() replaces what an earlier start has left, and leaves nothing of a directory that is not there", async () => {
  using scratch = createScratch();
  mkdirSync(scratch.at("d"));
  writeFileSync(scratch.at("d/file"), "x");
  symlinkSync("nowhere", scratch.at("d/link"));
  mkdirSync(scratch.at("out"));
  writeFileSync(scratch.at("out/image.new"), "half of one");
  writeFileSync(scratch.at("out/image"), "another");
  await copyDirectory(scratch.at("d"), scratch.at("out/image"));
  const { stdout } = Bun.spawnSync(["unsquashfs", "-l", "-q", "-no", scratch.at("out/image")]);
  expect(stdout.toString()).toContain("squashfs-root/file");
  expect(readdirSync(scratch.at("out"))).toEqual(["image"]);
  await refusal(copyDirectory(scratch.at("gone"), scratch.at("out/other")), "not_found");
  await refusal(copyDirectory(scratch.at("d/file"), scratch.at("out/other")), "failed_precondition");
  expect(readdirSync(scratch.at("out"))).toEqual(["image"]);
});
