import { expect, test } from "bun:test";
import { mkdtemp, open, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { hashSparse } from "./hash-sparse.ts";

const MIB = 1024 * 1024;

async function write(
  path: string,
  size: number,
  pieces: Readonly<Record<number, Uint8Array>>,
): Promise<void> {
  await using file = await open(path, "w");
  await file.truncate(size);
  for (const [at, bytes] of Object.entries(pieces)) await file.write(bytes, 0, bytes.length, Number(at));
}

test("hashSparse() sees what is in a file, and not where its holes are", async () => {
  const dir = await mkdtemp(join(tmpdir(), "banger-hash-"));
  try {
    const hash = async (
      pieces: Readonly<Record<number, Uint8Array>>,
      size = 3 * MIB + 100,
    ): Promise<string> => {
      await write(join(dir, "f"), size, pieces);
      return await hashSparse(join(dir, "f"));
    };
    const bytes = Buffer.alloc(10_000, 7);
    const holes = await hash({ [MIB - 5000]: bytes });
    // The same, written out.
    const whole = Buffer.alloc(3 * MIB + 100);
    bytes.copy(whole, MIB - 5000);
    await writeFile(join(dir, "whole"), whole);
    expect(await hashSparse(join(dir, "whole"))).toBe(holes);
    const flipped = Buffer.from(bytes);
    flipped[9_999] = 6;
    const others = [
      await hash({ [MIB - 5000]: flipped }),
      await hash({ [MIB - 4999]: bytes }),
      await hash({ [MIB - 5000]: bytes }, 3 * MIB + 101),
      await hash({ [MIB - 5000]: bytes, [3 * MIB + 99]: Buffer.from([1]) }),
      await hash({}),
    ];
    expect(new Set([holes, ...others]).size).toBe(6);
  } finally {
    await rm(dir, { recursive: true });
  }
});
