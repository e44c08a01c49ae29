import { expect, test } from "bun:test";
import { lineOfKey, parseToml, TomlError, valueAt } from "./toml.ts";

const LONG = `# a comment
first = "x"

text = """
not = "a key"
[nor a table
"""
list = [
  1,

  2,
]
[table]
inner = { deep = 1, "odd name" = 2 }
`;

test.each([
  [["first"], 2],
  [["text"], 4],
  [["list"], 8],
  [["table"], 13],
  [["table", "inner"], 14],
  [["table", "inner", "odd name"], 14],
])("lineOfKey() finds %j in line %d", (path, line) => {
  expect(lineOfKey(LONG, path)).toBe(line);
});

test.each([
  ["a = 1\nb =", 2],
  ["a = 1\na = 2", 2],
  ["\n\n# c\n  a ==", 4],
  ["[x]\ny = 1\n[x]", 3],
  [`${LONG}\nbad`, 16],
  [`a = """\nnever closed\n`, 1],
  ["a = 1\n\u0001", 2],
  [`${LONG}t = [\n1,\n2\nb = 3\n`, 15],
  [`${LONG}[table]\nx = 1\n`, 15],
])("parseToml() says that %j is spoilt in line %d", (text, line) => {
  try {
    parseToml(text);
    throw new Error("it was taken");
  } catch (error) {
    expect(error).toBeInstanceOf(TomlError);
    expect((error as TomlError).line).toBe(line);
    expect((error as TomlError).message).not.toContain("TOML Parse error");
  }
});

test("valueAt() finds own values only", () => {
  const document = parseToml("[a]\nb = 1\n");
  expect(valueAt(document, ["a", "b"])).toBe(1);
  for (const path of [
    ["a", "c"],
    ["b"],
    ["a", "b", "c"],
    ["constructor"],
    ["a", "toString"],
    ["__proto__"],
  ]) {
    expect(valueAt(document, path)).toBeUndefined();
  }
});
