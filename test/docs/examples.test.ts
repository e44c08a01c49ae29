/** The examples of the README do what the README says, with real guests. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { createRealHome, type RealHome } from "../support/real-home.ts";
import { outputFits, readExamples, runExamples } from "./examples.ts";
import { readPage } from "./markdown.ts";

const BLOCKS = readExamples(readPage("README.md")).map((block) => ({ title: block[0]?.command, block }));

let home: RealHome;
beforeAll(async () => {
  home = await createRealHome();
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

test.each(BLOCKS)("the README's example shows what it says: $title", async ({ block }) => {
  const outputs = await runExamples(block, { BANGER_HOME: home.home });
  const shown = block.map((example, index) => ({
    command: example.command,
    output: outputFits(example, outputs[index] ?? "") ? example.output : outputs[index],
  }));
  expect(shown).toEqual([...block]);
  expect((await home.banger(["ps", "-a", "-q"])).stdout).toBe("");
});

test("the README has its examples, and none is overlooked", () => {
  expect(BLOCKS.length).toBeGreaterThanOrEqual(5);
  const dollars = readPage("README.md").text.match(/^\$ /gm) ?? [];
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
