/** The little of Markdown that the tests of the documentation read: headings, tables, code blocks, links. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";

export const ROOT: string = join(import.meta.dir, "../..");

export interface Page {
  /** Relative to the repository. */
  readonly path: string;
  readonly text: string;
}

/** A page of the repository by its path. */
export function readPage(path: string): Page {
  return { path, text: readFileSync(join(ROOT, path), "utf8") };
}

/** Every Markdown page of the repository that is ours. */
export function readPages(): readonly Page[] {
  return [...new Glob("**/*.md").scanSync({ cwd: ROOT, dot: false })]
    .filter((path) => !/(?:^|\/)(?:node_modules|target|dist)\//.test(path))
    .sort()
    .map(readPage);
}

/** The rows of the first table below a heading, without its head: cells as written, with `\|` as `|`. Empty when there is none. */
export function tableBelow(page: Page, heading: string): readonly (readonly string[])[] {
  const lines = sectionBelow(page, heading).split("\n");
  const first = lines.findIndex((line) => line.startsWith("|"));
  if (first < 0) return [];
  const after = lines.findIndex((line, index) => index > first && !line.startsWith("|"));
  return lines.slice(first + 2, after < 0 ? undefined : after).map(cells);
}

/** The words of a page that stand in single backticks, outside of code blocks. */
export function codeWords(page: Page): readonly string[] {
  return [...withoutBlocks(page.text).matchAll(/`([^`\n]+)`/g)].map((match) => match[1] ?? "");
}

/** A cell without its backticks. */
export function plain(cell: string | undefined): string {
  return (cell ?? "").replaceAll("`", "");
}

/** Headings as the anchors that links use (GitHub's rule: lower case, no punctuation, hyphens for blanks). */
export function anchors(page: Page): readonly string[] {
  return headings(page).map((heading) =>
    heading
      .toLowerCase()
      .replaceAll(/[^\p{Letter}\p{Number} _-]/gu, "")
      .replaceAll(" ", "-"),
  );
}

export function headings(page: Page): readonly string[] {
  return [...withoutBlocks(page.text).matchAll(/^#{1,6} (.+)$/gm)].map((match) => match[1] ?? "");
}

/** The targets of a page's links, outside of code blocks. */
export function linkTargets(page: Page): readonly string[] {
  return [...withoutBlocks(page.text).matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] ?? "");
}

/** The contents of a page's code blocks, of one language if that is given. */
export function codeBlocks(page: Page, language?: string): readonly string[] {
  return [...page.text.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)]
    .filter((match) => language === undefined || match[1] === language)
    .map((match) => match[2] ?? "");
}

function sectionBelow(page: Page, heading: string): string {
  const start = page.text.indexOf(`\n## ${heading}\n`);
  if (start < 0) throw new Error(`${page.path} has no section "${heading}"`);
  const rest = page.text.slice(start + 4);
  const end = rest.indexOf("\n## ");
  return end < 0 ? rest : rest.slice(0, end);
}

function cells(line: string): string[] {
  return line
    .split(/(?<!\\)\|/)
    .slice(1, -1)
    .map((cell) => cell.trim().replaceAll("\\|", "|"));
}

function withoutBlocks(text: string): string {
  return text.replaceAll(/^```[\s\S]*?^```$/gm, "");
}
