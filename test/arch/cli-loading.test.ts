/** What a command loads before it does anything: reading zod, or what copies files, takes longer than most commands do. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

const SRC = join(import.meta.dir, "../../src");
const HEAVY = ["zod", "ws", "hono", "pino", "node:net", "node:http", "node:crypto", "node:child_process"];
const transpiler = new Bun.Transpiler({ loader: "ts" });

/** Every module that `source` at `path` loads at once, with what those load; packages by name, ours by path. */
function loadedBy(path: string, source: string, seen: Set<string> = new Set([path])): Set<string> {
  // Types are gone by then; what is imported when it is needed is of another kind.
  for (const { kind, path: found } of transpiler.scanImports(source)) {
    const to = found.startsWith(".") ? join(dirname(path), found) : found;
    if (kind !== "import-statement" || seen.has(to)) continue;
    seen.add(to);
    if (found.startsWith(".")) loadedBy(to, readFileSync(to, "utf8"), seen);
  }
  return seen;
}

function loadedFrom(path: string): string[] {
  const full = join(SRC, path);
  return [...loadedBy(full, readFileSync(full, "utf8"))];
}

test.each(["main", "commands/look", "commands/life", "commands/run", "commands/exec", "commands/logs"])(
  "cli/%s.ts loads no module that takes long",
  (name) => {
    const loaded = loadedFrom(`cli/${name}.ts`);
    expect(HEAVY.filter((heavy) => loaded.includes(heavy))).toEqual([]);
    // The scan is not blind: each of them comes to what all share.
    expect(loaded).toContain(join(SRC, "model/errors.ts"));
  },
);

test("a planted module that takes long is found behind another", () => {
  const planted = `import { Client } from "../sdk/transport-node.ts"; export const c = Client;`;
  expect([...loadedBy(join(SRC, "cli/planted.ts"), planted)]).toContain("ws");
});
