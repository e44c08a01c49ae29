import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createVerdictCache } from "./verdict-cache.ts";

/** Sets many entries, one after the other. */
const WRITER = `
const { createVerdictCache } = await import(${JSON.stringify(join(import.meta.dir, "verdict-cache.ts"))});
const cache = createVerdictCache(process.argv[1]);
for (let at = 0; at < 200; at += 1) cache.set("key", at);
`;

test("a VerdictCache may be written by several processes at once: none fails, and what is there at the end is whole", async () => {
  const dir = mkdtempSync(join(tmpdir(), "banger-verdicts-"));
  try {
    const path = join(dir, "verdicts.json");
    const writers = Array.from({ length: 4 }, () =>
      Bun.spawn([process.execPath, "-e", WRITER, path], { stdout: "ignore", stderr: "pipe" }),
    );
    const ends = await Promise.all(
      writers.map(async (writer) => ({ stderr: await writer.stderr.text(), code: await writer.exited })),
    );
    expect(ends).toEqual(writers.map(() => ({ stderr: "", code: 0 })));
    expect(createVerdictCache(path).get("key")).toBe(199);
    expect(readdirSync(dir)).toEqual(["verdicts.json"]);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
