import { expect, test } from "bun:test";
import { once } from "node:events";
import { mkdtempSync, openSync, readFileSync, rmSync, statSync, watch, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { readTail } from "../../lib/file-tail.ts";
import { cutBack, limitLogs, MAX_LOG_BYTES } from "./log-limit.ts";

const LINE = `${"x".repeat(4943)}.\n`;

function createLog(): Disposable & { readonly path: string; write(lines: number): void } {
  const directory = mkdtempSync(join(tmpdir(), "fc-log-"));
  const path = join(directory, "firecracker.metrics");
  // As Firecracker does: without O_APPEND, at an offset of its own.
  const fd = openSync(path, "w+");
  return {
    path,
    write: (lines) => void writeSync(fd, LINE.repeat(lines)),
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

const onDisk = (path: string): number => statSync(path).blocks * 512;

test("a log below the bound stays as it is", async () => {
  using log = createLog();
  log.write(100);
  await cutBack(log.path);
  expect(readFileSync(log.path, "utf8")).toBe(LINE.repeat(100));
});

test("a log never takes more than the bound and what was written since the last look, and keeps its end", async () => {
  using log = createLog();
  for (let day = 0; day < 5; day++) {
    log.write(1440);
    await cutBack(log.path);
    expect(onDisk(log.path)).toBeLessThan(MAX_LOG_BYTES);
  }
  expect(statSync(log.path).size).toBe(5 * 1440 * LINE.length);
  expect(await readTail(log.path, 10 * LINE.length)).toBe(LINE.repeat(10));
});

test("a log that grows while it is watched is cut back, and one that is not there is left alone", async () => {
  using log = createLog();
  using limit = limitLogs([log.path, `${log.path}-nowhere`]);
  expect(limit).toBeDefined();
  log.write(1440);
  // Punching a hole changes the file, which is an event, too.
  const changes = watch(log.path);
  try {
    while (onDisk(log.path) > MAX_LOG_BYTES) await once(changes, "change");
  } finally {
    changes.close();
  }
  expect(await readTail(log.path, LINE.length)).toBe(LINE);
});
