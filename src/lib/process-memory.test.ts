import { expect, test } from "bun:test";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, unlinkSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { BangerError } from "../model/errors.ts";
import { mappedFile, openMemory, privateRanges } from "./process-memory.ts";

const MIB = 1024 ** 2;
const SIZE = 4 * MIB;
/** Where the program writes, after it has read all of its memory. */
const WRITTEN = 2 * MIB + 12_345;

/** A process that maps `path` (or nothing) privately, reads every page, writes one byte, and says the address. */
class Mapper implements AsyncDisposable {
  readonly process: ChildProcess;

  constructor(path: string | undefined) {
    const script = `
      import { dlopen, toArrayBuffer } from "bun:ffi";
      import { openSync } from "node:fs";
      const { symbols } = dlopen("libc.so.6", {
        mmap: { args: ["ptr", "u64", "i32", "i32", "i32", "i64"], returns: "ptr" },
        madvise: { args: ["ptr", "u64", "i32"], returns: "i32" },
      });
      const path = ${JSON.stringify(path ?? "")};
      const fd = path === "" ? -1 : openSync(path, "r+");
      const address = symbols.mmap(null, ${SIZE}, 3, path === "" ? 0x22 : 2, fd, 0);
      symbols.madvise(address, ${SIZE}, 15);
      const view = new Uint8Array(toArrayBuffer(address, 0, ${SIZE}));
      let sum = 0;
      if (path !== "") for (let at = 0; at < ${SIZE}; at += 4096) sum += view[at];
      view[${WRITTEN}] = 77;
      console.log(address);
      setInterval(() => sum, 1_000_000);
    `;
    this.process = spawn(process.execPath, ["-e", script], { stdio: ["ignore", "pipe", "inherit"] });
  }

  get pid(): number {
    return this.process.pid ?? 0;
  }

  async address(): Promise<number> {
    const [bytes] = (await once(this.process.stdout ?? this.process, "data")) as [Uint8Array];
    return Number(Buffer.from(bytes).toString());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.process.kill("SIGKILL");
    if (this.process.exitCode === null && this.process.signalCode === null) await once(this.process, "exit");
  }
}

test.each(["a file", "no file"])(
  "finds the page that was written to, of memory with %s behind it",
  async (what) => {
    const directory = mkdtempSync(join(tmpdir(), "banger-memory-"));
    try {
      const path = what === "a file" ? join(directory, "base file") : undefined;
      if (path !== undefined) writeFileSync(path, Buffer.alloc(SIZE, 5));
      await using mapper = new Mapper(path);
      const address = await mapper.address();
      const ranges = await privateRanges(mapper.pid, { start: address, end: address + SIZE });
      const page = WRITTEN - (WRITTEN % 4096);
      expect(ranges).toEqual([{ start: page, end: page + 4096 }]);

      await using memory = await openMemory(mapper.pid);
      const byte = Buffer.alloc(1);
      await memory.read(byte, 0, 1, address + WRITTEN);
      expect(byte[0]).toBe(77);

      if (path !== undefined) unlinkSync(path);
      const behind = mappedFile(mapper.pid, address);
      if (path === undefined) return expect(behind).toBeUndefined();
      await using base = await open(behind ?? "", "r");
      expect(await base.stat()).toMatchObject({ size: SIZE, nlink: 0 });
    } finally {
      rmSync(directory, { recursive: true });
    }
  },
);

test("is unavailable when the process has ended", async () => {
  const mapper = new Mapper(undefined);
  const address = await mapper.address();
  await mapper[Symbol.asyncDispose]();
  const failures = await Promise.all([
    codeOf(() => openMemory(mapper.pid)),
    codeOf(() => privateRanges(mapper.pid, { start: address, end: address + SIZE })),
    codeOf(() => Promise.resolve(mappedFile(mapper.pid, address))),
  ]);
  expect(failures).toEqual(["unavailable", "unavailable", "unavailable"]);
});

async function codeOf(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    return BangerError.from(error).code;
  }
}
