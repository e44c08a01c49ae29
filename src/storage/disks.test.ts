import { describe, expect, test } from "bun:test";
import { mkdtemp, readdir, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";
import { createDisk, growDisk, MIN_DISK_BYTES } from "./disks.ts";

const GIB = 1024 ** 3;

async function createDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await mkdtemp(join(tmpdir(), "banger-disks-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}

async function codeOf(promise: Promise<unknown>): Promise<string> {
  return promise.then(
    () => "none",
    (error: unknown) => BangerError.from(error).code,
  );
}

/** The file system's superblock as text; fails when e2fsck finds anything to say. */
async function checkFileSystem(path: string): Promise<string> {
  await runProgram(["e2fsck", "-fn", path]);
  return Buffer.from((await runProgram(["dumpe2fs", "-h", path])).stdout).toString();
}

describe("createDisk()", () => {
  test("makes sparse, sound file systems of every size, with a journal", async () => {
    await using dir = await createDirectory();
    for (const size of [MIN_DISK_BYTES, 64 * 1024 ** 2, GIB + 4096, 8 * GIB, 100 * GIB]) {
      const path = join(dir.path, String(size));
      await createDisk(path, size);
      const facts = await stat(path);
      expect(facts.size).toBe(size);
      expect(facts.mode & 0o777).toBe(0o600);
      expect(facts.blocks * 512).toBeLessThan(4 * 1024 ** 2);
      const superblock = await checkFileSystem(path);
      expect(superblock).toContain("has_journal");
      expect(superblock).toMatch(/Reserved block count: +0\n/u);
    }
  });

  test("leaves a disk that exists as it is; of two at once one wins", async () => {
    await using dir = await createDirectory();
    const path = join(dir.path, "d");
    await writeFile(path, "mine");
    expect(await codeOf(createDisk(path, MIN_DISK_BYTES))).toBe("already_exists");
    expect((await stat(path)).size).toBe(4);
    const other = join(dir.path, "e");
    const codes = await Promise.all([1, 2].map(() => codeOf(createDisk(other, MIN_DISK_BYTES))));
    expect(codes.toSorted()).toEqual(["already_exists", "none"]);
    expect((await readdir(dir.path)).toSorted()).toEqual(["d", "e"]);
  });

  test("refuses sizes that make no disk", async () => {
    for (const size of [0, -4096, MIN_DISK_BYTES - 4096, MIN_DISK_BYTES + 1, Number.NaN, 1e18]) {
      expect(await codeOf(createDisk("/nonexistent/d", size))).toBe("invalid_argument");
    }
  });
});

describe("growDisk()", () => {
  test("makes the file larger and nothing smaller; the file system can then fill it", async () => {
    await using dir = await createDirectory();
    const path = join(dir.path, "d");
    await createDisk(path, 64 * 1024 ** 2);
    await growDisk(path, GIB);
    await growDisk(path, GIB);
    expect((await stat(path)).size).toBe(GIB);
    expect(await codeOf(growDisk(path, GIB / 2))).toBe("invalid_argument");
    expect(await codeOf(growDisk(join(dir.path, "no"), GIB))).toBe("not_found");
    await runProgram(["resize2fs", path]);
    expect(await checkFileSystem(path)).toMatch(/Block count: +262144\n/u);
  });
});
