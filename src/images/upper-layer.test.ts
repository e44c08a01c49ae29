import { expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { chmod, chown, link, mkdir, symlink, truncate, writeFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { findProgram, runProgram } from "../lib/run-program.ts";
import { mergeLayers } from "./layers/merge.ts";
import { layerTar } from "./layers/testing.ts";
import { DEFAULT_LIMITS } from "./tar/limits.ts";
import { createTemporaryDirectory, failureOf } from "./testing.ts";
import { upperLayer } from "./upper-layer.ts";

const missing = ["mkfs.ext4", "setfattr"].filter((name) => findProgram(name) === undefined);
const problem =
  missing.length > 0
    ? `not installed: ${missing.join(", ")}`
    : process.getuid?.() === 0
      ? ""
      : "needs root, to make devices";
if (problem !== "") console.warn(`skipped: the writable layer as a layer: ${problem}`);

/** A disk with these contents, and the tar that is made of it. */
async function makeDisk(dir: string, fill: (upper: string) => Promise<void>, size = "64M"): Promise<string> {
  const root = join(dir, "root");
  await mkdir(join(root, "upper"), { recursive: true });
  await mkdir(join(root, "work"));
  await fill(join(root, "upper"));
  const disk = join(dir, "disk.ext4");
  await runProgram(["mkfs.ext4", "-q", "-d", root, disk, size], { stdout: "ignore" });
  return disk;
}

async function read(disk: string, rootfsPath = "/nonexistent"): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  const below = { rootfsPath, tarPath: `${disk}.tar` };
  for await (const part of upperLayer(disk, below)) parts.push(part);
  return Buffer.concat(parts);
}

async function setXattr(path: string, name: string, value: string): Promise<void> {
  await runProgram(["setfattr", "-h", "-n", name, "-v", value, path]);
}

test.skipIf(problem !== "")(
  "upperLayer() tells files, links, devices, owners, attributes, whiteouts and opaque directories",
  async () => {
    await using dir = await createTemporaryDirectory();
    const large = Buffer.alloc(3_000_000, "0123456789");
    const disk = await makeDisk(dir.path, async (upper) => {
      await writeFile(join(upper, "large"), large);
      await writeFile(join(upper, "sparse"), "start");
      await truncate(join(upper, "sparse"), 5_000_000);
      await writeFile(join(upper, "empty"), "");
      await chown(join(upper, "empty"), 70_000, 80_000);
      await chmod(join(upper, "empty"), 0o4755);
      await link(join(upper, "large"), join(upper, "twin"));
      await symlink("short", join(upper, "link"));
      await symlink("x".repeat(200), join(upper, "long"));
      await runProgram(["mknod", join(upper, "gone"), "c", "0", "0"]);
      await runProgram(["mknod", join(upper, "null"), "c", "1", "3"]);
      await runProgram(["mkfifo", join(upper, "pipe")]);
      await mkdir(join(upper, "opaque/sub"), { recursive: true });
      await setXattr(join(upper, "opaque"), "trusted.overlay.opaque", "y");
      await setXattr(join(upper, "opaque"), "trusted.overlay.origin", "0sAAA=");
      await setXattr(join(upper, "opaque"), "user.mine", "v".repeat(300));
      await mkdir(join(upper, "etc"));
      await writeFile(join(upper, "etc/hostname"), "of the VM");
      await mkdir(join(upper, "many"));
      for (let n = 0; n < 400; n += 1) await writeFile(join(upper, "many", `a-rather-long-name-${n}`), "");
    });
    const tar = join(dir.path, "layer.tar");
    writeFileSync(tar, await read(disk));
    const list = await runProgram(["tar", "--numeric-owner", "--full-time", "-tvf", tar]);
    const lines = Buffer.from(list.stdout)
      .toString()
      .trimEnd()
      .split("\n")
      .map((line) => line.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d /u, "").replaceAll(/ +/gu, " "));
    expect(lines.filter((line) => line.includes(" many/")).length).toBe(400);
    expect(lines.filter((line) => !line.includes(" many"))).toEqual([
      "-rwsr-xr-x 70000/80000 0 empty",
      "drwxr-xr-x 0/0 0 etc",
      "-rw-r--r-- 0/0 0 .wh.gone",
      "-rw-r--r-- 0/0 3000000 large",
      "lrwxrwxrwx 0/0 0 link -> short",
      `lrwxrwxrwx 0/0 0 long -> ${"x".repeat(200)}`,
      "crw-r--r-- 0/0 1,3 null",
      "drwxr-xr-x 0/0 0 opaque",
      "-rw-r--r-- 0/0 0 opaque/.wh..wh..opq",
      "drwxr-xr-x 0/0 0 opaque/sub",
      "prw-r--r-- 0/0 0 pipe",
      "-rw-r--r-- 0/0 5000000 sparse",
      "hrw-r--r-- 0/0 0 twin link to large",
    ]);
    const out = join(dir.path, "out");
    await mkdir(out);
    await runProgram(["tar", "--xattrs", "--xattrs-include=*", "-C", out, "-xf", tar]);
    expect(readFileSync(join(out, "large")).equals(large)).toBe(true);
    const sparse = readFileSync(join(out, "sparse"));
    expect([sparse.toString("utf8", 0, 5), sparse.subarray(5).every((byte) => byte === 0)]).toEqual([
      "start",
      true,
    ]);
    const xattrs = await runProgram(["getfattr", "-d", "-m", "-", "--absolute-names", join(out, "opaque")]);
    expect(
      Buffer.from(xattrs.stdout)
        .toString()
        .match(/^\S+(?==)/gmu),
    ).toEqual(["user.mine"]);
  },
);

test.skipIf(problem !== "")("upperLayer() refuses what a layer cannot say", async () => {
  await using dir = await createTemporaryDirectory();
  const disk = await makeDisk(dir.path, async (upper) => await writeFile(join(upper, ".wh.x"), ""));
  const error = await failureOf(read(disk));
  expect(error.code).toBe("unsupported");
  expect(error.message).toContain('".wh.x"');
});

test.skipIf(problem !== "" || findProgram("sqfs2tar") === undefined)(
  "upperLayer() copies what the image has in directories that were renamed",
  async () => {
    await using dir = await createTemporaryDirectory();
    const image = layerTar([
      { path: "old", kind: "directory", mode: 0o711 },
      { path: "old/kept", content: "kept", uid: 70_000 },
      { path: "old/twin", kind: "hardlink", linkPath: "old/kept" },
      { path: "old/removed", content: "removed" },
      { path: "old/replaced", content: "below" },
      { path: "old/sub/deep/file", content: "deep" },
      { path: "old/sub/gone", content: "gone" },
      { path: "old/inner/file", content: "inner" },
      { path: "new/hidden", content: "of the image at the new name" },
      { path: "a/x", content: "of a" },
      { path: "b/y", content: "of b" },
      { path: "back/file", content: "back" },
    ]);
    const [base, rootfsPath] = [join(dir.path, "base.tar"), join(dir.path, "base.squashfs")];
    await writeFile(base, image);
    await mergeLayers([{ path: base, name: "base", diffId: undefined }], rootfsPath);
    const disk = await makeDisk(dir.path, async (upper) => {
      for (const path of ["new/sub", "moved/inner", "a", "b", "back"]) {
        await mkdir(join(upper, path), { recursive: true });
      }
      await chmod(join(upper, "new"), 0o750);
      for (const path of ["old", "new/removed", "new/inner", "new/sub/gone"]) {
        await runProgram(["mknod", join(upper, path), "c", "0", "0"]);
      }
      await writeFile(join(upper, "new/replaced"), "above");
      await writeFile(join(upper, "new/sub/made"), "made");
      for (const [path, redirect] of [
        ["new", "old"],
        ["moved/inner", "/old/inner"],
        ["a", "b"],
        ["b", "a"],
        ["back", "/back"],
      ] as const) {
        await setXattr(join(upper, path), "trusted.overlay.redirect", redirect);
      }
    });
    const layer = join(dir.path, "layer.tar");
    await writeFile(layer, await read(disk, rootfsPath));
    const out = join(dir.path, "out.squashfs");
    const layers = [base, layer].map((path) => ({ path, name: path, diffId: undefined }));
    await mergeLayers(layers, out);
    const unpacked = join(dir.path, "out");
    await runProgram(["unsquashfs", "-no-progress", "-quiet", "-d", unpacked, out]);
    const files = readdirSync(unpacked, { recursive: true, withFileTypes: true })
      .filter((entry) => !entry.isDirectory())
      .map((entry) => join(entry.parentPath, entry.name));
    const shown = files.map((path) => `${relative(unpacked, path)}: ${readFileSync(path, "utf8")}`);
    expect(shown.toSorted((one, other) => (one < other ? -1 : 1))).toEqual([
      "a/y: of b",
      "b/x: of a",
      "back/file: back",
      "moved/inner/file: inner",
      "new/kept: kept",
      "new/replaced: above",
      "new/sub/deep/file: deep",
      "new/sub/made: made",
      "new/twin: kept",
    ]);
    expect(statSync(join(unpacked, "new")).mode & 0o7777).toBe(0o750);
    const [kept, twin] = ["kept", "twin"].map((name) => statSync(join(unpacked, "new", name)));
    expect([kept?.uid, kept?.ino]).toEqual([70_000, twin?.ino]);
  },
);

test.skipIf(problem !== "")("upperLayer() survives any damage to a disk", async () => {
  await using dir = await createTemporaryDirectory();
  const disk = await makeDisk(
    dir.path,
    async (upper) => {
      for (let n = 0; n < 40; n += 1) {
        await mkdir(join(upper, `d${n}`));
        await writeFile(join(upper, `d${n}/f`), "x".repeat(n * 200));
        await setXattr(join(upper, `d${n}`), "user.mine", "v");
      }
    },
    "8M",
  );
  const good = readFileSync(disk);
  // Where something is: damage to zeros that nobody reads proves nothing.
  const used: number[] = [];
  for (let at = 1024; at < good.length; at += 4) if (good.readUInt32LE(at) !== 0) used.push(at);
  // A linear congruential generator (Numerical Recipes), so that a failure can be repeated.
  let seed = 1;
  const random = (below: number): number => {
    seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
    return seed % below;
  };
  let refused = 0;
  for (let round = 0; round < 100; round += 1) {
    const bytes = Buffer.from(good);
    for (let n = 0; n < 60; n += 1) bytes[(used[random(used.length)] ?? 0) + random(4)] = random(256);
    writeFileSync(disk, bytes);
    const outcome = await drain(disk).then(
      () => undefined,
      (error: unknown) => error,
    );
    if (outcome === undefined) continue;
    refused += 1;
    expect(outcome).toMatchObject({ code: expect.stringMatching(/^(?:invalid_argument|unsupported)$/u) });
  }
  expect(refused).toBeGreaterThan(20);
});

test.skipIf(problem !== "")("upperLayer() gives up at the entry that is one too many", async () => {
  await using dir = await createTemporaryDirectory();
  const disk = await makeDisk(
    dir.path,
    async (upper) => {
      await mkdir(join(upper, "d"));
      for (const name of ["a", "b", "d/c"]) await writeFile(join(upper, name), "");
    },
    "8M",
  );
  const withMost = async (maxEntries: number): Promise<void> => {
    const limits = { ...DEFAULT_LIMITS, maxEntries };
    const below = { rootfsPath: "/nonexistent", tarPath: `${disk}.tar`, limits };
    for await (const part of upperLayer(disk, below)) void part;
  };
  await withMost(4);
  expect(await failureOf(withMost(3))).toMatchObject({
    code: "invalid_argument",
    details: { limit: "images.max_entries" },
  });
});

/** What a file's size may claim is bounded by whoever makes an image of it; here it is enough to have read a little. */
async function drain(disk: string): Promise<void> {
  let bytes = 0;
  for await (const part of upperLayer(disk, { rootfsPath: "/nonexistent", tarPath: `${disk}.tar` })) {
    bytes += part.length;
    if (bytes > 64 * 1024 * 1024) return;
  }
}
