/** `file_sync` against a guest that only takes notes. */
import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { refusal } from "../../test/support/refusal.ts";
import { runProgram } from "../lib/run-program.ts";
import type { GuestFile, StartedGuest } from "../model/capability.ts";
import { BangerError } from "../model/errors.ts";
import { createFileSyncCapability, MAX_SYNC_BYTES } from "./file-sync-capability.ts";

interface Written {
  readonly path: string;
  readonly mode: number;
  readonly content: string;
}

class NotingGuest implements StartedGuest {
  readonly written: Written[] = [];
  onWrite: () => void = () => undefined;

  async writeFile(path: string, { mode, content }: GuestFile): Promise<void> {
    const pieces: Uint8Array[] = [];
    for await (const piece of content instanceof Uint8Array ? [content] : content) {
      this.onWrite();
      pieces.push(piece);
    }
    this.written.push({ path, mode, content: Buffer.concat(pieces).toString() });
  }
}

interface Bench extends Disposable {
  readonly dir: string;
  readonly guest: NotingGuest;
  readonly missing: string[];
  readonly notes: string[];
  /** Preflight, then started, for these files of the directory. */
  run(...names: readonly string[]): Promise<void>;
}

function createBench(): Bench {
  const dir = mkdtempSync(join(tmpdir(), "banger-sync-"));
  const guest = new NotingGuest();
  const missing: string[] = [];
  const notes: string[] = [];
  return {
    dir,
    guest,
    missing,
    notes,
    async run(...names) {
      const entries = names.map((name) => ({ host: join(dir, name), guest: `/root/${name}`, mode: 0o640 }));
      const capability = createFileSyncCapability({
        entries,
        onMissing: (id, problem) => missing.push(`${id}: ${problem}`),
      });
      const vm = { id: "0123456789ab" } as never;
      await capability.preflight?.({ vm, image: {} as never, keeps: true });
      await capability.started?.(vm, guest, {
        signal: new AbortController().signal,
        onProgress: (event) => {
          if (event.event === "note") notes.push(event.text);
        },
      });
    },
    [Symbol.dispose]: () => rmSync(dir, { recursive: true }),
  };
}

test("files are written with their mode, as they are at each start; a missing one is said, and the others are written", async () => {
  using bench = createBench();
  writeFileSync(join(bench.dir, "one"), "1");
  writeFileSync(join(bench.dir, "empty"), "");
  symlinkSync("one", join(bench.dir, "link"));
  symlinkSync("nowhere", join(bench.dir, "dangling"));
  await bench.run("gone", "dangling", "one/below", "one", "empty", "link");
  const written = (path: string, content: string): Written => ({ path, mode: 0o640, content });
  const expected = [written("/root/one", "1"), written("/root/empty", ""), written("/root/link", "1")];
  expect(bench.guest.written).toEqual(expected);
  const gone = ["gone", "dangling", "one/below"].map((name) => `${join(bench.dir, name)} is missing`);
  expect(bench.notes).toEqual(gone.map((text) => `file_sync: ${text}`));
  expect(bench.missing).toEqual(gone.map((text) => `0123456789ab: ${text}`));
  writeFileSync(join(bench.dir, "one"), "two".repeat(100_000));
  await bench.run("one");
  expect(bench.guest.written.at(-1)?.content).toBe("two".repeat(100_000));
});

test("16 MiB are written, and more is refused by name: before the boot, or when it grows", async () => {
  using bench = createBench();
  const path = join(bench.dir, "big");
  writeFileSync(path, "");
  truncateSync(path, MAX_SYNC_BYTES);
  await bench.run("big");
  expect(bench.guest.written[0]?.content.length).toBe(MAX_SYNC_BYTES);
  bench.guest.onWrite = () => truncateSync(path, MAX_SYNC_BYTES + 1);
  const words = `file_sync: ${path} has more than the 16 MiB that are copied at a start`;
  const grown = await refusal(bench.run("big"), "failed_precondition");
  expect(grown.message).toBe(words);
  const large = await refusal(bench.run("big"), "failed_precondition");
  expect([large.message, large.details]).toEqual([words, { file: path }]);
  expect(large.cure).toContain("file_sync");
  expect(bench.guest.written.length).toBe(1);
});

test("what is no file, or cannot be opened, is refused by name and is not waited for", async () => {
  using bench = createBench();
  mkdirSync(join(bench.dir, "directory"));
  symlinkSync("loop", join(bench.dir, "loop"));
  await runProgram(["mkfifo", join(bench.dir, "pipe")]);
  for (const [name, words] of [
    ["directory", "is not a file"],
    ["pipe", "is not a file"],
    ["loop", "cannot be read: ELOOP"],
  ] as const) {
    const { message } = await refusal(bench.run(name), "failed_precondition");
    expect(message).toContain(`file_sync: ${join(bench.dir, name)} ${words}`);
  }
});

test("what the guest refuses is said with the file of the host; a cancelled start stays one", async () => {
  using bench = createBench();
  writeFileSync(join(bench.dir, "one"), "1");
  for (const [code, message] of [
    ["permission_denied", `file_sync: ${join(bench.dir, "one")} cannot be written into the guest: no`],
    ["cancelled", "no"],
  ] as const) {
    bench.guest.onWrite = () => {
      throw new BangerError(code, "no");
    };
    expect((await refusal(bench.run("one"), code)).message).toBe(message);
  }
});
