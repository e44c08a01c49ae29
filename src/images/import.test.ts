import { describe, expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { readdir, readFile, utimes, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { runProgram } from "../lib/run-program.ts";
import { ImageBlobs } from "./blobs.ts";
import { type ImportPlaces, importTar } from "./import.ts";
import { BlobStore } from "./oci/blob-store.ts";
import { createTar, createTemporaryDirectory, failureOf, type TarEntry } from "./testing.ts";

const rootfs: readonly TarEntry[] = [
  { name: "bin/", type: "directory", mode: 0o755 },
  { name: "bin/sh", mode: 0o4755, uid: 12, gid: 34, content: "shell", mtime: new Date(1e12) },
  { name: "bin/dash", type: "link", linkname: "bin/sh" },
  { name: "dev/null", type: "character-device", devmajor: 1, devminor: 3 },
];

function placesIn(dir: string): ImportPlaces {
  return {
    blobs: new ImageBlobs(join(dir, "images")),
    store: new BlobStore(join(dir, "blobs")),
    scratchDir: join(dir, "scratch"),
  };
}

async function listing(path: string): Promise<string> {
  return Buffer.from((await runProgram(["unsquashfs", "-lln", path])).stdout).toString();
}

describe("importTar()", () => {
  test("publishes owners, modes and links, whatever the compression, under the same digest", async () => {
    await using dir = await createTemporaryDirectory();
    const places = placesIn(dir.path);
    const tar = await createTar(rootfs);
    const { stdout: xz } = await runProgram(["xz", "-c"], { stdin: tar });
    const digests = new Set<string>();
    for (const [name, bytes] of Object.entries({
      plain: tar,
      gz: gzipSync(tar),
      zst: zstdCompressSync(tar),
      xz,
    })) {
      const path = join(dir.path, name);
      await writeFile(path, bytes);
      await utimes(path, 1e9, 1e9);
      const image = await importTar(path, places, { config: { cmd: ["/bin/sh"] } });
      digests.add(image.digest);
      expect(image.config).toEqual({ cmd: ["/bin/sh"] });
      expect(image.sizeBytes).toBe((await readFile(image.rootfsPath)).byteLength);
    }
    const [digest] = digests;
    expect(digests.size).toBe(1);
    const lines = await listing(join(dir.path, "images", digest ?? "", "rootfs.squashfs"));
    expect(lines).toMatch(/^drwxr-xr-x 0\/0 .* squashfs-root$/mu);
    expect(lines).toMatch(/^-rwsr-xr-x 12\/34 .* 2001-09-09 .*bin\/sh$/mu);
    expect(lines).toMatch(/^-rwsr-xr-x 12\/34 .*bin\/dash$/mu);
    expect(lines).toMatch(/^crw.* 1, +3 .*dev\/null$/mu);
  });

  test("accepts archives of several compressed members", async () => {
    await using dir = await createTemporaryDirectory();
    const places = placesIn(dir.path);
    const tar = await createTar(rootfs);
    const [head, rest] = [tar.subarray(0, 700), tar.subarray(700)];
    for (const bytes of [
      Buffer.concat([gzipSync(head), gzipSync(rest)]),
      Buffer.concat([zstdCompressSync(head), zstdCompressSync(rest)]),
    ]) {
      await writeFile(join(dir.path, "x"), bytes);
      await importTar(join(dir.path, "x"), places);
    }
  });

  test("refuses what is damaged, truncated, hostile or no archive, and leaves nothing", async () => {
    await using dir = await createTemporaryDirectory();
    const imagesDir = join(dir.path, "images");
    const places = placesIn(dir.path);
    const tar = await createTar(rootfs);
    const { stdout: xz } = await runProgram(["xz", "-c"], { stdin: tar });
    const zst = zstdCompressSync(tar);
    const cases = {
      empty: Buffer.alloc(0),
      "cut tar": tar.subarray(0, 1600),
      "cut gzip": gzipSync(tar).subarray(0, -30),
      "cut xz": xz.subarray(0, -30),
      "cut zstd": zst.subarray(0, -10),
      "damaged zstd": Buffer.from(zst).fill(0x77, 20, 60),
      text: Buffer.from("hello ".repeat(1000)),
      hostile: await createTar([...rootfs, { name: "../../evil", content: "x" }]),
    };
    for (const [name, bytes] of Object.entries(cases)) {
      await writeFile(join(dir.path, "x"), bytes);
      const error = await failureOf(importTar(join(dir.path, "x"), places));
      expect(`${name}: ${error.code}`).toBe(`${name}: invalid_argument`);
    }
    expect(await readdir(imagesDir)).toEqual([]);
  });

  test("refuses a file that is not there and one that is none", async () => {
    await using dir = await createTemporaryDirectory();
    const places = placesIn(dir.path);
    expect((await failureOf(importTar(join(dir.path, "nothing"), places))).code).toBe("not_found");
    expect((await failureOf(importTar(dir.path, places))).code).toBe("invalid_argument");
  });

  test("stops when it is aborted and leaves nothing", async () => {
    await using dir = await createTemporaryDirectory();
    const imagesDir = join(dir.path, "images");
    await writeFile(join(dir.path, "x"), await createTar(rootfs));
    const controller = new AbortController();
    const importing = importTar(join(dir.path, "x"), placesIn(dir.path), {
      signal: controller.signal,
      onStage: () => controller.abort(),
    });
    expect((await failureOf(importing)).code).toBe("cancelled");
    expect(existsSync(imagesDir)).toBe(false);
  });
});
