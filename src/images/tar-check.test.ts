import { describe, expect, test } from "bun:test";
import * as fc from "fast-check";
import { BangerError } from "../model/errors.ts";
import { checkTar, type TarLimits } from "./tar-check.ts";
import { createTar, failureOf, inPieces, type TarEntry } from "./testing.ts";

const rootfs: readonly TarEntry[] = [
  { name: "./", type: "directory" },
  { name: "./bin/", type: "directory" },
  { name: "./bin/sh", mode: 0o755, content: "#!" },
  { name: "./bin/dash", type: "link", linkname: "./bin/sh" },
  { name: "./etc/mtab", type: "symlink", linkname: "../../../proc/mounts" },
  { name: "./dev/null", type: "character-device", devmajor: 1, devminor: 3 },
];

async function passThrough(bytes: Uint8Array, limits?: TarLimits, pieceSize = 777): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of checkTar(inPieces(bytes, pieceSize), limits)) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function refusalOf(entries: readonly TarEntry[], limits?: TarLimits): Promise<BangerError> {
  return failureOf(passThrough(await createTar(entries), limits));
}

describe("checkTar()", () => {
  test("passes a root file system on unchanged, whatever the pieces", async () => {
    const tar = await createTar(rootfs);
    for (const size of [1, 511, 512, 100_000])
      expect(Buffer.compare(await passThrough(tar, undefined, size), tar)).toBe(0);
  });

  test("refuses names and hard links that leave the root", async () => {
    const hostile: readonly TarEntry[] = [
      { name: "../evil" },
      { name: "a/../../evil" },
      { name: "/etc/passwd" },
      { name: `${"x".repeat(256)}/a` },
      { name: "ok", type: "link", linkname: "../../etc/shadow" },
      { name: "ok", type: "link", linkname: "/etc/shadow" },
    ];
    for (const entry of hostile) {
      const error = await refusalOf([...rootfs, entry]);
      expect(error.code).toBe("invalid_argument");
      expect(error.message).toContain("is refused");
    }
  });

  test("does not repeat control characters of a name", async () => {
    expect((await refusalOf([{ name: "../\u001b[31m" }])).message).not.toContain("\u001b");
  });

  test("bounds entries and sizes", async () => {
    expect((await refusalOf(rootfs, { entries: 3, totalBytes: 1e6 })).message).toContain(
      "more than 3 entries",
    );
    expect((await refusalOf(rootfs, { entries: 100, totalBytes: 1 })).message).toContain("more than 1 bytes");
    const sparse = await createTar([
      { name: "bin/x", pax: { "GNU.sparse.realsize": "99999999999999" }, content: "x" },
    ]);
    expect((await failureOf(passThrough(sparse))).message).toContain("more than");
  });

  test("refuses an archive of docker save and an OCI layout", async () => {
    for (const name of ["manifest.json", "oci-layout"]) {
      const error = await refusalOf([
        { name, content: "{}" },
        { name: "blobs/sha256/ab", content: "x" },
      ]);
      expect(error.code).toBe("unsupported");
    }
    await passThrough(await createTar([...rootfs, { name: "manifest.json", content: "{}" }]));
  });

  test("refuses an empty archive, none at all, and a root without anything", async () => {
    for (const bytes of [
      await createTar([]),
      Buffer.alloc(0),
      await createTar([{ name: "./", type: "directory" }]),
    ]) {
      expect((await failureOf(passThrough(bytes))).code).toBe("invalid_argument");
    }
  });

  test("refuses every truncation", async () => {
    const tar = await createTar(rootfs);
    for (let size = 0; size < tar.length; size += 128) {
      expect((await failureOf(passThrough(tar.subarray(0, size)))).code).toBe("invalid_argument");
    }
  });

  test("refuses an unknown kind of entry", async () => {
    const tar = await createTar([{ name: "bin/sparse", content: "x" }]);
    tar.write("S", 156);
    tar.fill(" ", 148, 156);
    const sum = tar.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    tar.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
    expect((await failureOf(passThrough(tar))).code).toBe("unsupported");
  });

  test("passes an error of its source through", async () => {
    async function* broken(): AsyncGenerator<Uint8Array> {
      yield (await createTar(rootfs)).subarray(0, 1000);
      throw new BangerError("unavailable", "gone");
    }
    const read = async (): Promise<void> => {
      for await (const _ of checkTar(broken())) expect(_).toBeInstanceOf(Uint8Array);
    };
    expect((await failureOf(read())).message).toBe("gone");
  });

  test("answers any bytes with the archive or a refusal", async () => {
    const tar = await createTar(rootfs);
    const change = fc.tuple(fc.nat(tar.length - 1), fc.nat(255));
    await fc.assert(
      fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 6 }), async (changes) => {
        const hostile = Buffer.from(tar);
        for (const [offset, value] of changes) hostile[offset] = value;
        await passThrough(hostile).catch((error: unknown) => {
          if (!(error instanceof BangerError) || error.code === "internal") throw error;
        });
      }),
      { seed: 1, numRuns: 500 },
    );
  });
});
