/** What the pages point at exists: files, headings, source files, tests, error messages. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { dirname, join, normalize } from "node:path";
import { Glob } from "bun";
import { PATHS } from "../../src/api/paths.ts";
import {
  anchors,
  codeWords,
  headings,
  linkTargets,
  type Page,
  ROOT,
  readPage,
  readPages,
} from "./markdown.ts";

const PAGES = readPages();

/** Why a link leads nowhere; undefined when it leads somewhere. External ones are not followed. */
function brokenLink(page: Page, target: string): string | undefined {
  if (/^[a-z]+:/.test(target)) return undefined;
  const [path = "", anchor] = target.split("#");
  const file = path === "" ? page.path : normalize(join(dirname(page.path), path));
  if (!existsSync(join(ROOT, file))) return `${page.path}: there is no ${file}`;
  if (anchor === undefined || anchors(readPage(file)).includes(anchor)) return undefined;
  return `${page.path}: ${file} has no heading #${anchor}`;
}

test("every relative link leads to a file, and to a heading of it", () => {
  const links = PAGES.flatMap((page) => linkTargets(page).map((target) => brokenLink(page, target)));
  expect(links.length).toBeGreaterThan(40);
  expect(links.filter((broken) => broken !== undefined)).toEqual([]);
});

test("a planted dead link and a planted dead heading are found", () => {
  const page = {
    path: "docs/planted.md",
    text: "[a](nowhere.md) [b](errors.md#no-such-heading) [c](../README.md)",
  };
  expect(linkTargets(page).map((target) => brokenLink(page, target))).toEqual([
    "docs/planted.md: there is no docs/nowhere.md",
    "docs/planted.md: docs/errors.md has no heading #no-such-heading",
    undefined,
  ]);
});

test("every source file and directory that a page names exists", () => {
  const named = PAGES.flatMap((page) =>
    codeWords(page)
      .filter((word) => /^(?:src|agent|test|scripts|protocol|bin|docs)\/[\w./-]+$/.test(word))
      .map((path) => ({ page: page.path, path })),
  );
  expect(named.length).toBeGreaterThan(50);
  expect(named.filter(({ path }) => !existsSync(join(ROOT, path)))).toEqual([]);
});

test("every address of the API that a page calls is one", () => {
  const known = Object.values(PATHS).map(
    ({ path }) => new RegExp(`^${path.replaceAll(/\{\w+\}/g, "[^/]+")}$`),
  );
  const called = PAGES.flatMap((page) =>
    [...page.text.matchAll(/\bhttp:\/\/banger(\/[^\s"'`?]*)/g)].map(([, path = ""]) => ({
      page: page.path,
      path,
    })),
  );
  expect(called.length).toBeGreaterThan(0);
  expect(called.filter(({ path }) => !known.some((pattern) => pattern.test(path)))).toEqual([]);
});

test("every test that docs/security.md names exists under that title", () => {
  const page = readPage("docs/security.md");
  const named = [...page.text.matchAll(/\]\(\.\.\/([^)]+)\): "([^"]+)"/g)];
  expect(named.length).toBeGreaterThan(20);
  // No row of a defence goes without its test.
  expect(page.text.match(/^\| .+\. \| .*$/gm)?.filter((row) => !row.includes('): "'))).toEqual([]);
  const missing = named.filter(([, path = "", title = ""]) => {
    const text = readFileSync(join(ROOT, path), "utf8");
    return path.endsWith(".rs") ? !text.includes(`fn ${title}()`) : !text.includes(`("${title}",`);
  });
  expect(missing.map(([all]) => all)).toEqual([]);
});

test("every message in docs/troubleshooting.md is one that the program can say", () => {
  const messages = headings(readPage("docs/troubleshooting.md")).filter((heading) => heading.startsWith("`"));
  expect(messages.length).toBeGreaterThan(30);
  const sources = ["src/**/*.ts", "agent/src/**/*.rs", "scripts/*.sh", "bin/*"]
    .flatMap((pattern) => [...new Glob(pattern).scanSync(ROOT)])
    .filter((path) => !path.endsWith(".test.ts"))
    .map((path) => readFileSync(join(ROOT, path), "utf8").replaceAll('\\"', '"'));
  const unknown = messages.filter((message) => {
    const parts = message
      .replaceAll("`", "")
      .split("…")
      .filter((part) => part.trim() !== "");
    return !sources.some((source) => saidInOneLine(source, parts));
  });
  expect(unknown).toEqual([]);
});

/** Whether a line of the source has all parts in their order; what stands between them is filled in at run time. */
function saidInOneLine(source: string, parts: readonly string[]): boolean {
  return source.split("\n").some((line) => {
    let from = 0;
    return parts.every((part) => {
      const at = line.indexOf(part, from);
      from = at + part.length;
      return at >= 0;
    });
  });
}
