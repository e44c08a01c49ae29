import { expect, test } from "bun:test";
import { BangerError } from "../../model/errors.ts";
import { renderError } from "./error.ts";
import { renderFacts } from "./facts.ts";
import { printable, printableLine } from "./printable.ts";
import { renderTable } from "./table.ts";

test.each([
  ['plain é 漢 \\ "', 'plain é 漢 \\ "'],
  ["\u001b[2Jgone", "\\u001b[2Jgone"],
  ["a\rb", "a\\rb"],
  ["\u009b2J\u007f", "\\u009b2J\\u007f"],
  // What looks like a comment runs: the "Trojan Source" of CVE-2021-42574.
  ["rm \u202e#", "rm \\u202e#"],
  ["\u2028\u200b\ufeff", "\\u2028\\u200b\\ufeff"],
  ["\u{e0041}", "\\u{e0041}"],
])("printable() shows %j as %j", (text, shown) => {
  expect(printable(text)).toBe(shown);
  expect(printableLine(text)).toBe(shown);
});

test("printable() keeps lines and tabs, and printableLine() makes one line", () => {
  expect(printable("a\tb\nc")).toBe("a\tb\nc");
  expect(printableLine("a\tb\nc")).toBe("a\\tb\\nc");
});

test("errors, tables and facts are printable, whoever wrote what is in them", () => {
  const evil = "\u001b]0;x\u0007\u202e";
  const error = new BangerError("guest_error", `${evil}\nsecond`, { cure: evil });
  for (const text of [
    renderError(error),
    renderTable([evil], [[`${evil}\n`]]),
    renderFacts([["name", [evil, "a\nb"]]]),
  ]) {
    expect(text).toBe(printable(text));
  }
  expect(renderError(error).split("\n")).toHaveLength(3);
  expect(renderTable(["A"], [["x\ny"]]).split("\n")).toHaveLength(2);
});

test("renderFacts() puts further lines of a value under the first, and leaves out what is not known", () => {
  expect(
    renderFacts([
      ["blobs", ["one", "two"]],
      ["none", undefined],
      ["empty", []],
      ["state", "running"],
    ]),
  ).toBe("blobs       one\n            two\nstate       running");
});
