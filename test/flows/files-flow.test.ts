/** Copies through client, server and the real agent (whose files are this host's): what arrives, and what does not. */
import { expect, test } from "bun:test";
import {
  appendFileSync,
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import * as fc from "fast-check";
import { copyBetween } from "../../src/sdk/files/copy-between.ts";
import type { GuestFiles } from "../../src/sdk/files/guest-files.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";
import { anyTree, createScratch, describeTree, makeTree } from "../support/trees.ts";

async function guestOf(daemon: TestDaemon): Promise<GuestFiles> {
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  return daemon.client.files("web");
}

test("random trees go in, from guest to guest and out again unchanged", async () => {
  await using daemon = await createTestDaemon();
  const files = await guestOf(daemon);
  let run = 0;
  await fc.assert(
    fc.asyncProperty(anyTree, async (tree) => {
      using scratch = createScratch();
      run += 1;
      makeTree(Buffer.from(scratch.at("from")), tree);
      const expected = describeTree(scratch.at("from"));
      const { entries } = await files.copyIn(scratch.at("from"), scratch.at("in"));
      expect(describeTree(scratch.at("in"))).toEqual(expected);
      expect(entries).toBe(expected.length);
      await copyBetween({ files, path: scratch.at("in") }, { files, path: scratch.at("between") });
      expect(describeTree(scratch.at("between"))).toEqual(expected);
      await files.copyOut(scratch.at("between"), scratch.at("out"));
      expect(describeTree(scratch.at("out"))).toEqual(expected);
      expect(readdirSync(scratch.path).toSorted()).toEqual(["between", "from", "in", "out"]);
    }),
    { numRuns: 40, seed: 8 },
  );
  expect(run).toBeGreaterThanOrEqual(40);
});

test("a large file that was cut off goes on where it was, both ways", async () => {
  await using daemon = await createTestDaemon();
  const files = await guestOf(daemon);
  using scratch = createScratch();
  const content = Buffer.alloc(48 * 1024 * 1024, "0123456789abcdefg");
  writeFileSync(scratch.at("big"), content);
  for (const [copy, from, to] of [
    ["copyIn", "big", "in"],
    ["copyOut", "in", "out"],
  ] as const) {
    mkdirSync(scratch.at(`${to}-dir`));
    const abort = new AbortController();
    let moved = 0;
    const left: number[] = [];
    const onResumable = (bytes: number): void => void left.push(bytes);
    const target = scratch.at(`${to}-dir`, "file");
    const cut = files[copy](scratch.at(from), target, {
      signal: abort.signal,
      onResumable,
      onProgress: (bytes) => {
        moved += bytes;
        if (moved > content.length / 2) abort.abort();
      },
    });
    await refusal(cut, "cancelled");
    // The guest hears of it before it serves this.
    await files.stat("/");
    const [partial, ...others] = readdirSync(scratch.at(`${to}-dir`));
    expect({ partial, others }).toEqual({ partial: expect.stringMatching(/^\.banger-part-/), others: [] });
    const { bytes } = await files[copy](scratch.at(from), target, { onResumable });
    expect(left).toEqual([0, content.length - bytes]);
    expect(bytes).toBeLessThan(content.length);
    expect(bytes).toBeGreaterThan(0);
    expect(readdirSync(scratch.at(`${to}-dir`))).toEqual(["file"]);
    expect(readFileSync(target).equals(content)).toBe(true);
    expect(statSync(target).mtimeMs).toBeCloseTo(statSync(scratch.at("big")).mtimeMs, 2);
    await files.copyIn(target, scratch.at("in"));
  }
});

test("a source that changed is not joined to what came of its earlier self", async () => {
  await using daemon = await createTestDaemon();
  const files = await guestOf(daemon);
  using scratch = createScratch();
  writeFileSync(scratch.at("big"), Buffer.alloc(40 * 1024 * 1024, "a"));
  const abort = new AbortController();
  const cut = files.copyIn(scratch.at("big"), scratch.at("to"), {
    signal: abort.signal,
    onProgress: () => abort.abort(),
  });
  await refusal(cut, "cancelled");
  writeFileSync(scratch.at("big"), Buffer.alloc(40 * 1024 * 1024, "b"));
  utimesSync(scratch.at("big"), 1, 1);
  await files.copyIn(scratch.at("big"), scratch.at("to"));
  expect(readFileSync(scratch.at("to")).equals(readFileSync(scratch.at("big")))).toBe(true);
});

test("a tree that is cut off leaves whole files only", async () => {
  await using daemon = await createTestDaemon();
  const files = await guestOf(daemon);
  using scratch = createScratch();
  mkdirSync(scratch.at("from"));
  for (const name of ["a", "b", "c"]) writeFileSync(scratch.at("from", name), Buffer.alloc(8_000_000, name));
  for (const [copy, from, to] of [
    ["copyIn", "from", "in"],
    ["copyOut", "from", "out"],
  ] as const) {
    const abort = new AbortController();
    let moved = 0;
    const cut = files[copy](scratch.at(from), scratch.at(to), {
      signal: abort.signal,
      onProgress: (bytes) => {
        moved += bytes;
        if (moved > 12_000_000) abort.abort();
      },
    });
    await refusal(cut, "cancelled");
    await files.stat("/");
    for (const name of readdirSync(scratch.at(to))) {
      expect(["a", "b", "c"]).toContain(name);
      expect(statSync(scratch.at(to, name)).size).toBe(8_000_000);
    }
    expect(readdirSync(scratch.at(to)).length).toBeLessThan(3);
  }
});

test("links in the destination lead nowhere: neither out of it on the host nor in the guest", async () => {
  await using daemon = await createTestDaemon();
  const files = await guestOf(daemon);
  using scratch = createScratch();
  mkdirSync(scratch.at("from/dir"), { recursive: true });
  writeFileSync(scratch.at("from/dir/file"), "new");
  for (const [copy, to] of [
    ["copyIn", "in"],
    ["copyOut", "out"],
  ] as const) {
    mkdirSync(scratch.at(`outside-${to}`));
    mkdirSync(scratch.at(to, "from"), { recursive: true });
    symlinkSync(scratch.at(`outside-${to}`), scratch.at(to, "from/dir"));
    const error = await refusal(files[copy](scratch.at("from"), scratch.at(to)), "failed_precondition");
    expect(error.message).toContain("link");
    expect(readdirSync(scratch.at(`outside-${to}`))).toEqual([]);
  }
});

test("a file replaces a link in its place, and a target that is a link to a file is followed", async () => {
  await using daemon = await createTestDaemon();
  const files = await guestOf(daemon);
  using scratch = createScratch();
  mkdirSync(scratch.at("from"));
  mkdirSync(scratch.at("to/from"), { recursive: true });
  writeFileSync(scratch.at("from/f"), "new");
  writeFileSync(scratch.at("precious"), "old");
  symlinkSync(scratch.at("precious"), scratch.at("to/from/f"));
  await files.copyOut(scratch.at("from"), scratch.at("to"));
  expect([
    readFileSync(scratch.at("to/from/f"), "utf8"),
    readFileSync(scratch.at("precious"), "utf8"),
  ]).toEqual(["new", "old"]);
  symlinkSync("precious", scratch.at("way"));
  await files.copyIn(scratch.at("from/f"), scratch.at("way"));
  expect(readFileSync(scratch.at("precious"), "utf8")).toBe("new");
});

test("set-user-ID bits and owners come along only when asked for", async () => {
  await using daemon = await createTestDaemon();
  const files = await guestOf(daemon);
  using scratch = createScratch();
  writeFileSync(scratch.at("f"), "x");
  chmodSync(scratch.at("f"), 0o4755);
  await files.copyIn(scratch.at("f"), scratch.at("plain"));
  await files.copyOut(scratch.at("f"), scratch.at("plain-out"));
  await files.copyIn(scratch.at("f"), scratch.at("archive"), { archive: true });
  const mode = (name: string): number => statSync(scratch.at(name)).mode & 0o7777;
  expect([mode("plain"), mode("plain-out"), mode("archive")]).toEqual([0o755, 0o755, 0o4755]);
});

test("readFile, writeFile and stat are for programs", async () => {
  await using daemon = await createTestDaemon();
  const files = await guestOf(daemon);
  using scratch = createScratch();
  expect(await files.writeFile(scratch.at("sub/f"), "hello", { mode: 0o600 })).toBe(5);
  expect(Buffer.from(await files.readFile(scratch.at("sub/f"))).toString()).toBe("hello");
  expect(await files.stat(scratch.at("sub/f"))).toMatchObject({ type: "file", size: 5, mode: 0o600 });
  expect(await files.statIfThere(scratch.at("no"))).toBeUndefined();
  await refusal(files.readFile(scratch.at("sub/f"), { maxBytes: 4 }), "resource_exhausted");
  await refusal(files.readFile(scratch.at("sub")), "failed_precondition");
  await refusal(files.readFile(scratch.at("no")), "not_found");
  appendFileSync(scratch.at("sub/f"), " you");
  const pieces: Uint8Array[] = [];
  for await (const piece of files.readStream(scratch.at("sub/f"), { offset: 6 })) pieces.push(piece);
  expect(Buffer.concat(pieces).toString()).toBe("you");
});

test("a guest whose memory of a path is gone, a VM that is stopped, a source that is not there: each says so", async () => {
  await using daemon = await createTestDaemon();
  const files = await guestOf(daemon);
  using scratch = createScratch();
  await refusal(files.copyIn(scratch.at("no"), "/tmp"), "not_found");
  await refusal(files.copyOut(scratch.at("no"), scratch.path), "not_found");
  writeFileSync(scratch.at("f"), "x");
  const missing = await refusal(files.copyIn(scratch.at("f"), scratch.at("no/such")), "not_found");
  expect(missing.message).toContain(scratch.at("no"));
  await daemon.client.killVm("web");
  const stopped = await refusal(files.copyIn(scratch.at("f"), scratch.at("g")), "failed_precondition");
  expect(stopped.cure).toBe("start it with: banger start web");
  expect(existsSync(scratch.at("g"))).toBe(false);
});
