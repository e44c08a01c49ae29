import { expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { cloneInto, copySparse } from "./sparse-copy.ts";

class Scratch implements Disposable {
  readonly path: string = mkdtempSync(join(tmpdir(), "banger-sparse-"));
  readonly from: string = join(this.path, "from");
  readonly to: string = join(this.path, "to");

  async write(sizeBytes: number, parts: readonly (readonly [number, Uint8Array])[]): Promise<void> {
    await using file = await open(this.from, "wx");
    await file.truncate(sizeBytes);
    for (const [at, bytes] of parts) await file.write(bytes, 0, bytes.byteLength, at);
    await file.sync();
  }

  [Symbol.dispose](): void {
    rmSync(this.path, { recursive: true });
  }
}

const MIB = 1024 ** 2;

test("copySparse() copies what is there, and takes no room for what is not", async () => {
  using scratch = new Scratch();
  const parts = [
    [0, randomBytes(5000)],
    [7 * MIB + 1, randomBytes(3 * MIB)],
    [64 * MIB - 9, randomBytes(9)],
  ] as const;
  await scratch.write(64 * MIB, parts);
  chmodSync(scratch.from, 0o644);
  await copySparse(scratch.from, scratch.to);
  expect(readFileSync(scratch.to).equals(readFileSync(scratch.from))).toBe(true);
  expect(statSync(scratch.to).blocks * 512).toBeLessThan(4 * MIB);
  expect(statSync(scratch.to).mode & 0o777).toBe(0o600);
});

test("copySparse() copies a file of nothing but a hole, and an empty one", async () => {
  for (const size of [0, 3 * MIB + 17]) {
    using scratch = new Scratch();
    await scratch.write(size, []);
    await copySparse(scratch.from, scratch.to);
    expect(statSync(scratch.to)).toMatchObject({ size, blocks: 0 });
  }
});

test("copySparse() leaves alone what has the name", async () => {
  using scratch = new Scratch();
  await scratch.write(10, [[0, randomBytes(10)]]);
  expect((await failureOf(copySparse(scratch.from, scratch.from))).code).toBe("EEXIST");
  expect(statSync(scratch.from).size).toBe(10);
});

async function failureOf(promise: Promise<unknown>): Promise<NodeJS.ErrnoException> {
  return await promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => error as NodeJS.ErrnoException,
  );
}

test("cloneInto() gives a file the blocks of another, or leaves it alone where blocks cannot be shared", async () => {
  using scratch = new Scratch();
  const contents = randomBytes(3 * 4096);
  await scratch.write(contents.length, [[0, contents]]);
  await using from = await open(scratch.from, "r");
  await using to = await open(scratch.to, "wx+", 0o600);
  await to.truncate(contents.length);
  const shared = cloneInto(from.fd, to.fd);
  expect(readFileSync(scratch.to).equals(shared ? contents : Buffer.alloc(contents.length))).toBe(true);
});
