import { expect, test } from "bun:test";
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { replaceFile, replaceFileDurably } from "./durable-file.ts";

function createDirectory(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "banger-durable-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

test.each([
  ["replaceFileDurably", replaceFileDurably],
  ["replaceFile", replaceFile],
])("%s() replaces the whole, for its owner alone, and leaves nothing beside it", (_, replace) => {
  using dir = createDirectory();
  const path = join(dir.path, "file");
  for (const text of ["one and more", "two"]) {
    replace(path, text);
    expect([readFileSync(path, "utf8"), statSync(path).mode & 0o777]).toEqual([text, 0o600]);
  }
  expect(readdirSync(dir.path)).toEqual(["file"]);
});

const WRITER = `
const { replaceFileDurably } = await import(${JSON.stringify(join(import.meta.dir, "durable-file.ts"))});
try {
  replaceFileDurably(process.argv[1], "n".repeat(20_000));
} catch (error) {
  console.log(error.code);
}
`;

test("replaceFileDurably() keeps the old content when there is room for a part of the new one only", async () => {
  using dir = createDirectory();
  const path = join(dir.path, "file");
  replaceFileDurably(path, "old");
  // With a limit of 4 KiB for files (setrlimit(2)) write(2) writes as much, and then fails.
  const limited = `trap "" XFSZ; ulimit -f 8; exec "$0" -e "$1" "$2"`;
  const argv = ["sh", "-c", limited, process.execPath, WRITER, path];
  const child = Bun.spawn(argv, { stdout: "pipe", stderr: "pipe" });
  const said = await Promise.all([child.stdout.text(), child.stderr.text(), child.exited]);
  expect(said).toEqual(["EFBIG\n", "", 0]);
  expect(readFileSync(path, "utf8")).toBe("old");
  expect(readdirSync(dir.path)).toEqual(["file"]);
});
