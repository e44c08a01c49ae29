/** What a driver lacks is data; nobody asks for its name (DESIGN section 7). Only vmm/ and the composition root know one. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

const SRC = join(import.meta.dir, "../../src");
const NAMES = ["qemu", "firecracker", "fake"];

/** Comparisons with a driver's name, and switches over one. */
const QUESTION = new RegExp(
  `(?:[=!]==?\\s*|\\bcase\\s+|\\bincludes\\(\\s*|\\bis\\(\\s*)(["'\`])(?:${NAMES.join("|")})\\1|(["'\`])(?:${NAMES.join("|")})\\2\\s*[=!]==?`,
  "g",
);

function questions(source: string): string[] {
  return [...source.matchAll(QUESTION)].map(([found]) => found);
}

function mayName(path: string): boolean {
  return path.startsWith("vmm/") || path === "daemon/compose.ts";
}

test("nobody outside vmm/ and daemon/compose.ts asks which driver it is", () => {
  const files = [...new Glob("**/*.ts").scanSync(SRC)].filter((path) => !path.endsWith(".test.ts"));
  const asking = files.filter((path) => questions(readFileSync(join(SRC, path), "utf8")).length > 0);
  expect(asking.filter((path) => !mayName(path))).toEqual([]);
  expect(files.length).toBeGreaterThan(80);
});

test.each([
  `if (driver === "firecracker") return;`,
  `if (report.driver !== 'qemu') return;`,
  `"fake" === driver.name`,
  `switch (driver) { case "qemu": break; }`,
  `if (["a"].includes("firecracker")) x();`,
  "driver == `qemu`",
])("a planted question is found: %s", (source) => {
  expect(questions(source)).toHaveLength(1);
});
