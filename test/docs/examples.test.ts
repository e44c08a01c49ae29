/** The examples of the pages do what the pages say, with real guests. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { join } from "node:path";
import { createRealHome, type RealHome } from "../support/real-home.ts";
import { outputFits, readExamples, runExamples } from "./examples.ts";
import { ROOT, readPage, readPages } from "./markdown.ts";

const BLOCKS = readPages().flatMap((page) =>
  readExamples(page).map((block) => ({ path: page.path, title: block[0]?.command, block })),
);
/** README.md says `bin/banger`, the other pages `banger`. */
const PATH = `${join(ROOT, "bin")}:${process.env["PATH"] ?? ""}`;

let home: RealHome;
beforeAll(async () => {
  home = await createRealHome();
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

test.each(BLOCKS)("the example of $path shows what it says: $title", async ({ block }) => {
  const outputs = await runExamples(block, { BANGER_HOME: home.home, PATH });
  const shown = block.map((example, index) => ({
    command: example.command,
    output: outputFits(example, outputs[index] ?? "") ? example.output : outputs[index],
  }));
  expect(shown).toEqual([...block]);
  expect((await home.banger(["ps", "-a", "-q"])).stdout).toBe("");
});

test("the README has its examples, other pages have some, and none is overlooked", () => {
  expect(readExamples(readPage("README.md")).length).toBeGreaterThanOrEqual(5);
  expect(new Set(BLOCKS.map(({ path }) => path)).size).toBeGreaterThanOrEqual(3);
  const dollars = readPages().flatMap(({ text }) => text.match(/^\$ /gm) ?? []);
  expect(BLOCKS.flatMap(({ block }) => block).length).toBe(dollars.length);
});

test.each([
  ["kept", "kept", true],
  ["kept", "", false],
  ["", "", true],
  ["", "noise", false],
  ["Linux … x86_64", "Linux web 6.1 x86_64", true],
  ["Linux … x86_64", "Linux web 6.1 arm", false],
  ["PASS  …\n…", "PASS  a", true],
  ["PASS  …\n…", "PASS  a\nb\nc", true],
  ["PASS  …\n…", "FAIL  a", false],
  ["a.c", "abc", false],
])("outputFits(%j) of %j is %p", (output, actual, fits) => {
  expect(outputFits({ command: "", output }, actual)).toBe(fits);
});
