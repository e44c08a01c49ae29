/** Tables of the documentation against the code that they speak of, both ways. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { EXIT } from "../../src/cli/exit-codes.ts";
import { findLayout, Layout } from "../../src/host/layout.ts";
import { ERROR_STATUS } from "../../src/model/errors.ts";
import { plain, ROOT, readPage, tableBelow } from "./markdown.ts";

const ERRORS = readPage("docs/errors.md");
const FILES = readPage("docs/files.md");

describe("docs/errors.md", () => {
  test("has every code with its status, and no other", () => {
    const documented = tableBelow(ERRORS, "Codes").map(
      ([code, status]) => [plain(code), Number(status)] as const,
    );
    expectSame(documented, ERROR_STATUS);
  });

  test("has every exit code with its name, and no other", () => {
    const documented = tableBelow(ERRORS, "Exit codes")
      .map(([code, name]) => [plain(name), Number(code)] as const)
      .filter(([name]) => name !== "");
    expectSame(documented, EXIT);
  });
});

describe("docs/files.md", () => {
  test("has the four places as findLayout() finds them", () => {
    const xdg = ["CONFIG", "STATE", "CACHE"].map((place) => [`XDG_${place}_HOME`, `/x/${place}`]);
    const layouts = [
      findLayout({ BANGER_HOME: "/home/me/b" }, 1000),
      findLayout({ ...Object.fromEntries(xdg), XDG_RUNTIME_DIR: "/x/RUNTIME" }, 1000),
      findLayout({ HOME: "/home/me" }, 1000),
    ];
    const places = tableBelow(FILES, "The four places").map((row) => row.map(plain));
    expect(places).toEqual(
      (["config", "state", "cache", "runtime"] as const).map((place) => [
        place.toUpperCase(),
        ...layouts.map((layout) =>
          layout[`${place}Dir`]
            .replace("/home/me/b", "$BANGER_HOME")
            .replace(/^\/x\/RUNTIME/, "$XDG_RUNTIME_DIR")
            .replace(/^\/x\/(\w+)/, "$XDG_$1_HOME")
            .replace("/home/me", "~")
            .replace("-1000", "-UID"),
        ),
      ]),
    );
  });

  test("has every name of the Layout with its path, and no other", () => {
    const documented = tableBelow(FILES, "Names in them").map(
      ([name, path]) => [plain(name), plain(path)] as const,
    );
    expectSame(documented, layoutNames());
  });

  test("names the source of every further name, and that source has it", () => {
    const rows = tableBelow(FILES, "Names in those").map((row) => row.map(plain));
    expect(rows.length).toBeGreaterThan(5);
    const missing = rows.filter(([path = "", , source = ""]) => {
      // What stands in capitals, and what follows it, differs from file to file.
      const name = basename(path.split(",")[0] ?? "").replace(/-?[A-Z]{2,}.*$/, "");
      return !readFileSync(join(ROOT, source), "utf8").includes(name.replace(/^\./, ""));
    });
    expect(missing).toEqual([]);
  });
});

/** Compares rows with what they document; a row that stands twice is found, too. */
function expectSame(
  rows: readonly (readonly [string, unknown])[],
  documented: Readonly<Record<string, unknown>>,
): void {
  expect(Object.fromEntries(rows)).toEqual(documented);
  expect(rows.length).toBe(Object.keys(documented).length);
}

/** The members of Layout.prototype with their values, directories as capitals. */
function layoutNames(): Readonly<Record<string, string>> {
  const layout = new Layout({
    configDir: "CONFIG",
    stateDir: "STATE",
    cacheDir: "CACHE",
    runtimeDir: "RUNTIME",
  });
  const members = Object.entries(Object.getOwnPropertyDescriptors(Layout.prototype)).filter(
    ([name]) => name !== "constructor",
  );
  return Object.fromEntries(
    members.map(([name, member]) => {
      const value: unknown =
        member.get === undefined
          ? (member.value as (...names: string[]) => string).call(layout, "ID", "N")
          : member.get.call(layout);
      return [name, String(value)];
    }),
  );
}
