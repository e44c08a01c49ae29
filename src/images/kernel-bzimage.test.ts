import { describe, expect, test } from "bun:test";
import { gzipSync, zstdCompressSync } from "node:zlib";
import * as fc from "fast-check";
import { runProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";
import { extractVmlinux } from "./kernel-bzimage.ts";
import { createBzImage, createElf, createVmlinux, failureOf } from "./testing.ts";

const vmlinux = createVmlinux();

async function compress(argv: readonly [string, ...string[]]): Promise<Uint8Array> {
  return (await runProgram(argv, { stdin: vmlinux })).stdout;
}

describe("extractVmlinux()", () => {
  test("takes the kernel out of a gzip payload, whose trailer holds the size", async () => {
    expect(Buffer.compare(await extractVmlinux(createBzImage(gzipSync(vmlinux))), vmlinux)).toBe(0);
  });

  test("takes the kernel out of a zstd payload", async () => {
    const image = createBzImage(zstdCompressSync(vmlinux), vmlinux.length);
    expect(Buffer.compare(await extractVmlinux(image), vmlinux)).toBe(0);
  });

  test("takes the kernel out of an xz payload", async () => {
    const image = createBzImage(await compress(["xz", "--check=crc32", "-c"]), vmlinux.length);
    expect(Buffer.compare(await extractVmlinux(image), vmlinux)).toBe(0);
  });

  test("takes the kernel out of a legacy LZ4 payload", async () => {
    const image = createBzImage(await compress(["lz4", "-l", "-c"]), vmlinux.length);
    expect(Buffer.compare(await extractVmlinux(image), vmlinux)).toBe(0);
  });

  test("takes an uncompressed kernel as it is", async () => {
    expect(await extractVmlinux(vmlinux)).toBe(vmlinux);
  });

  test("refuses a kernel without a PVH entry", async () => {
    const other = createElf({
      notes: [
        { name: "Xen", type: 6 },
        { name: "GNU", type: 18 },
      ],
    });
    const error = await failureOf(extractVmlinux(createBzImage(gzipSync(other))));
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain("PVH");
  });

  test("refuses what is no bzImage, a payload outside the file, and an unknown compression", async () => {
    const image = createBzImage(gzipSync(vmlinux));
    const unmarked = Buffer.from(image);
    unmarked.writeUInt32LE(0, 0x202);
    const outside = Buffer.from(image);
    outside.writeUInt32LE(0xffffffff, 0x248);
    expect((await failureOf(extractVmlinux(Buffer.alloc(0)))).code).toBe("invalid_argument");
    expect((await failureOf(extractVmlinux(unmarked))).code).toBe("invalid_argument");
    expect((await failureOf(extractVmlinux(outside))).code).toBe("invalid_argument");
    expect((await failureOf(extractVmlinux(createBzImage(Buffer.from("BZh91AY&SY"))))).code).toBe(
      "unsupported",
    );
  });

  test("refuses a payload that is damaged, cut, or larger than it says", async () => {
    const packed = gzipSync(vmlinux);
    const cut = packed.subarray(0, packed.length / 2);
    const damaged = Buffer.from(packed);
    damaged.fill(0x55, 40, 60);
    const bomb = createBzImage(zstdCompressSync(vmlinux), vmlinux.length - 1);
    const short = createBzImage(zstdCompressSync(vmlinux), vmlinux.length + 1);
    const cutZstd = createBzImage(zstdCompressSync(vmlinux).subarray(0, -20), vmlinux.length);
    for (const image of [createBzImage(cut), createBzImage(damaged), bomb, short, cutZstd]) {
      expect((await failureOf(extractVmlinux(image))).code).toBe("invalid_argument");
    }
  });

  test("answers any change of a few bytes with a kernel or a refusal", async () => {
    const image = createBzImage(gzipSync(createVmlinux(100)));
    const change = fc.tuple(fc.nat(image.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 4 }), async (changes) => {
        const hostile = Buffer.from(image);
        for (const [offset, value] of changes) hostile[offset] = value;
        await extractVmlinux(hostile).catch((error: unknown) => {
          if (!(error instanceof BangerError) || error.code === "internal") throw error;
        });
      }),
      { seed: 1, numRuns: 300 },
    );
  });
});
