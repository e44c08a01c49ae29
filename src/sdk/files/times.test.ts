import { expect, test } from "bun:test";
import { lstatSync, mkdtempSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { utimeOf } from "./times.ts";

test("utimeOf() gives a file the very microsecond", () => {
  const dir = mkdtempSync(join(tmpdir(), "banger-times-"));
  try {
    const path = join(dir, "file");
    writeFileSync(path, "");
    const wrong: number[] = [];
    for (let at = 0; at < 2000; at += 1) {
      const mtime = {
        seconds: 1_700_000_000 + at * 65_537,
        nanoseconds: (at * 499_979_000 + at) % 1_000_000_000,
      };
      utimesSync(path, utimeOf(mtime), utimeOf(mtime));
      const found = lstatSync(path, { bigint: true }).mtimeNs / 1000n;
      if (found !== BigInt(mtime.seconds) * 1_000_000n + BigInt(Math.floor(mtime.nanoseconds / 1000)))
        wrong.push(at);
    }
    expect(wrong).toEqual([]);
  } finally {
    rmSync(dir, { recursive: true });
  }
});
