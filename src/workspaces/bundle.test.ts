import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, readFileSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { refusal } from "../../test/support/refusal.ts";
import { createScratch } from "../../test/support/trees.ts";
import type { WorkspaceRecord } from "../model/workspace.ts";
import { packBundle, unpackBundle } from "./bundle.ts";

const RECORD: WorkspaceRecord = {
  vm: "0123456789ab",
  hostPath: "/home/me/app",
  guestPath: "/root/app",
  head: "a".repeat(40),
  tree: "b".repeat(40),
  branch: "refs/heads/main",
  readonly: false,
  includeUntracked: true,
  depth: 3,
  ownBranch: false,
  ofRevision: false,
  arrivedAtNs: "1700000000000000000",
  sentAt: 1_700_000_000_000,
};

test("a bundle has record, files and empty directories, and nothing that is under way", async () => {
  using scratch = createScratch();
  const [from, to, file] = [scratch.at("from"), scratch.at("to"), scratch.at("bundle")];
  for (const name of ["shadow/refs/heads", "shadow/objects/ab", ".tmp-1-2-3/tree"])
    mkdirSync(join(from, name), { recursive: true });
  const large = Buffer.alloc(3_000_000, "banger ");
  writeFileSync(join(from, "shadow/objects/ab/cd"), large);
  writeFileSync(join(from, "manifest"), "");
  writeFileSync(join(from, "index"), Buffer.from([0, 255, 10]));
  await packBundle(RECORD, from, file);
  expect(await unpackBundle(file, to)).toEqual(RECORD);
  expect(readdirSync(to, { recursive: true }).map(String).sort()).toEqual([
    "index",
    "manifest",
    "shadow",
    "shadow/objects",
    "shadow/objects/ab",
    "shadow/objects/ab/cd",
    "shadow/refs",
    "shadow/refs/heads",
  ]);
  expect(readFileSync(join(to, "shadow/objects/ab/cd")).equals(large)).toBe(true);
  expect([...readFileSync(join(to, "index"))]).toEqual([0, 255, 10]);
});

test("what is no bundle, cut off, or would lead elsewhere is refused", async () => {
  using scratch = createScratch();
  const [from, file] = [scratch.at("from"), scratch.at("bundle")];
  mkdirSync(from);
  writeFileSync(join(from, "manifest"), "some words");
  await packBundle(RECORD, from, file);
  const bytes = readFileSync(file);
  truncateSync(file, bytes.length - 1);
  await refusal(unpackBundle(file, scratch.at("cut")), "failed_precondition");
  const header = (value: unknown): Buffer => {
    const json = Buffer.from(JSON.stringify(value));
    const length = Buffer.alloc(8);
    length.writeBigUInt64BE(BigInt(json.length));
    return Buffer.concat([length, json, Buffer.from("words")]);
  };
  const whole = { format: 1, record: RECORD, directories: [], files: [["manifest", 5]] };
  const odd = [
    Buffer.alloc(0),
    Buffer.from("not a bundle at all"),
    Buffer.alloc(8, 255),
    header({ ...whole, format: 2 }),
    header({ ...whole, files: [["../manifest", 5]] }),
    header({ ...whole, files: [["/etc/x", 5]] }),
    header({ ...whole, directories: ["a/../../b"] }),
    header({ ...whole, record: { ...RECORD, guestPath: "root" } }),
    header({ ...whole, record: { ...RECORD, tree: "x" } }),
  ];
  for (const [at, content] of odd.entries()) {
    writeFileSync(file, content);
    await refusal(unpackBundle(file, scratch.at(`odd-${at}`)), "failed_precondition");
  }
  writeFileSync(file, header(whole));
  await unpackBundle(file, scratch.at("whole"));
});
