import { describe, expect, test } from "bun:test";
import { mkdir, readdir, readFile, truncate, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync, zstdCompressSync } from "node:zlib";
import { runProgram } from "../lib/run-program.ts";
import { extractVmlinux } from "./kernel-bzimage.ts";
import { chooseModules } from "./kernel-modules.ts";
import { readKernelPackage } from "./kernel-package.ts";
import { listKernels, publishKernel, readKernel } from "./kernel-store.ts";
import {
  createBzImage,
  createModule,
  createTemporaryDirectory,
  createVmlinux,
  failureOf,
} from "./testing.ts";

const release = "6.1.0-1-test";

/** A kernel package as Debian builds them, with small contents. */
async function createDeb(dir: string, files: Readonly<Record<string, Uint8Array | string>>): Promise<string> {
  const root = join(dir, "root");
  const control =
    "Package: linux-image-test\nVersion: 1\nArchitecture: amd64\nMaintainer: t <t@t.test>\nDescription: t\n";
  for (const [name, content] of Object.entries({ ...files, "DEBIAN/control": control })) {
    await mkdir(join(root, name, ".."), { recursive: true });
    await writeFile(join(root, name), content);
  }
  await runProgram(["dpkg-deb", "--build", "--root-owner-group", "-Zgzip", root, join(dir, "k.deb")]);
  return join(dir, "k.deb");
}

const modules = `lib/modules/${release}/kernel`;
const contents = {
  [`boot/vmlinuz-${release}`]: createBzImage(gzipSync(createVmlinux())),
  [`boot/config-${release}`]: "CONFIG_X=y",
  [`lib/modules/${release}/modules.builtin`]: "kernel/fs/ext4/ext4.ko\n",
  [`${modules}/blk.ko`]: createModule("core-one"),
  [`${modules}/core_one.ko.zst`]: zstdCompressSync(createModule("")),
  [`${modules}/rng-x.ko.gz`]: gzipSync(createModule("blk")),
  [`${modules}/unwanted.ko`]: createModule(""),
};

describe("a kernel package", () => {
  test("is read, its modules chosen and decompressed, and published whole", async () => {
    await using dir = await createTemporaryDirectory();
    const found = await readKernelPackage(await createDeb(dir.path, contents));
    expect(found.release).toBe(release);
    const parts = {
      release,
      source: "test",
      vmlinux: await extractVmlinux(found.bzImage),
      modules: await chooseModules(found.modules, ["rng_x", "ext4"]),
    };
    const kernelsDir = join(dir.path, "kernels");
    const kernel = await publishKernel(kernelsDir, parts);
    const kernelDir = join(kernelsDir, kernel.id);
    expect(await readdir(kernelsDir)).toEqual([kernel.id]);
    expect(await readFile(join(kernelDir, "modules/order"), "utf8")).toBe("core_one.ko\nblk.ko\nrng-x.ko\n");
    expect(kernel.modules).toEqual(
      ["core_one", "blk", "rng-x"].map((name) => join(kernelDir, `modules/${name}.ko`)),
    );
    expect(Buffer.compare(await readFile(join(kernelDir, "modules/core_one.ko")), createModule(""))).toBe(0);
    expect(Buffer.compare(await readFile(kernel.vmlinuxPath), createVmlinux())).toBe(0);
    // The same contents again are the same kernel, described as it was.
    expect(await publishKernel(kernelsDir, { ...parts, source: "other" })).toEqual(kernel);
    expect(await listKernels(kernelsDir)).toEqual([kernel]);
  });

  test("without a kernel, or no package at all, is refused", async () => {
    await using dir = await createTemporaryDirectory();
    const deb = await createDeb(dir.path, { "boot/other": "x" });
    expect((await failureOf(readKernelPackage(deb))).message).toContain("holds no kernel");
    await writeFile(join(dir.path, "no.deb"), "no");
    expect((await failureOf(readKernelPackage(join(dir.path, "no.deb")))).code).toBe("invalid_argument");
  });

  test("that is cut anywhere is refused", async () => {
    await using dir = await createTemporaryDirectory();
    const filler = Buffer.from(Array.from({ length: 300_000 }, (_, index) => (index * 7919) % 251));
    const deb = await createDeb(dir.path, {
      ...contents,
      [`${modules}/big.ko`]: filler,
      "usr/share/big": filler,
    });
    // The last byte may be padding of ar(5), which nobody misses.
    for (let size = Bun.file(deb).size - 2; size > 0; size -= 700) {
      await truncate(deb, size);
      expect((await failureOf(readKernelPackage(deb))).code).toBe("invalid_argument");
    }
  });
});

describe("the kernel store", () => {
  test("has no kernels in a directory that is not there", async () => {
    await using dir = await createTemporaryDirectory();
    expect(await listKernels(join(dir.path, "no"))).toEqual([]);
    expect((await failureOf(readKernel(dir.path, "ab"))).code).toBe("not_found");
  });

  test("says which description is damaged", async () => {
    await using dir = await createTemporaryDirectory();
    const id = "ab".repeat(32);
    await mkdir(join(dir.path, id));
    await writeFile(join(dir.path, id, "kernel.json"), '{"id": ');
    const error = await failureOf(readKernel(dir.path, id));
    expect(error.code).toBe("internal");
    expect(error.cure).toContain(id);
    expect(await listKernels(dir.path)).toEqual([]);
  });
});
