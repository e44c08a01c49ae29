import { expect, test } from "bun:test";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createFileLog } from "./log.ts";

test("a log that is too long is set aside while it is written, and at a start", () => {
  using home = createHome();
  const log = createFileLog(home.path, "info", 1000);
  for (let at = 0; at < 50; at += 1) log.info({ at }, "x".repeat(100));
  expect(readdirSync(home.dir).toSorted()).toEqual(["bangerd.log", "bangerd.log.1"]);
  const ats = (name: string): number[] =>
    readFileSync(join(home.dir, name), "utf8")
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { at: number }).at);
  const kept = [...ats("bangerd.log.1"), ...ats("bangerd.log")];
  expect(kept).toEqual(Array.from({ length: kept.length }, (_, index) => 50 - kept.length + index));
  expect(statSync(`${home.path}.1`).size).toBeLessThan(1400);
  expect(statSync(home.path).mode & 0o777).toBe(0o600);
  createFileLog(home.path, "info", 1).info("anew");
  expect(readFileSync(home.path, "utf8").trim().split("\n")).toHaveLength(1);
  expect(ats("bangerd.log.1").at(-1)).toBe(49);
});

test("a log that was deleted is begun anew, and one that cannot be set aside goes on", () => {
  using home = createHome();
  const log = createFileLog(home.path, "info", 100);
  log.info("x".repeat(200));
  rmSync(home.path);
  log.info("anew");
  expect(readFileSync(home.path, "utf8")).toContain('"anew"');
  mkdirSync(`${home.path}.1/in-the-way`, { recursive: true });
  log.info("x".repeat(200));
  log.info("goes on");
  const text = readFileSync(home.path, "utf8");
  expect(text).toContain("this log grows on: ");
  expect(text.trim().split("\n").at(-1)).toContain('"goes on"');
});

function createHome(): Disposable & { readonly dir: string; readonly path: string } {
  const dir = mkdtempSync(join(tmpdir(), "banger-log-"));
  return {
    dir,
    path: join(dir, "bangerd.log"),
    [Symbol.dispose]: () => rmSync(dir, { recursive: true }),
  };
}
