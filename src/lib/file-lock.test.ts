/** File locks: one holder, told apart from everything else that may go wrong. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { tryFileLock, waitForFileLock } from "./file-lock.ts";

test("tryFileLock() is undefined while somebody holds the lock, and takes it afterwards", () => {
  const dir = mkdtempSync(join(tmpdir(), "banger-lock-"));
  const path = join(dir, "lock");
  {
    // A second open of the file is another holder, also within one process (flock(2)).
    using held = waitForFileLock(path);
    expect(held.path).toBe(path);
    expect(tryFileLock(path)).toBeUndefined();
  }
  using taken = tryFileLock(path);
  expect(taken?.path).toBe(path);
  rmSync(dir, { recursive: true });
});

test("tryFileLock() throws for a path that cannot be opened", () => {
  expect(() => tryFileLock("/no/such/directory/lock")).toThrow("ENOENT");
});
