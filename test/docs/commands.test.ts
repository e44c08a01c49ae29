/** Every command line that the documentation, the help or an error's cure shows is one that the program takes: its command, and each of its flags. */
import { expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import type { Command } from "commander";
import { listCommands } from "../../scripts/docs.ts";
import { codeBlocks, codeWords, ROOT, readPages } from "./markdown.ts";

const [{ command: PROGRAM }] = listCommands() as [ReturnType<typeof listCommands>[0]];

/** What is wrong with the words behind `banger`; undefined: nothing. */
function fault(words: readonly string[]): string | undefined {
  let command = PROGRAM;
  for (const word of words[0] === "vm" ? words.slice(1) : words) {
    // Behind -- it is the guest's; VERB and the like stand for any.
    if (word === "--" || /^[A-Z]+$/.test(word)) return undefined;
    if (word.startsWith("-") && word !== "-") {
      const problem = flagFault(command, word);
      if (problem !== undefined) return problem;
    } else if (command.commands.length > 0) {
      const child = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
      if (child !== undefined) command = child;
      // A verb's own argument, such as the `ls` of `exec ls`, is no command of its own.
      else if (command.registeredArguments.length === 0) return `${command.name()} has no ${word}`;
    } else if (isPassedOn(command)) return undefined;
  }
  return undefined;
}

/** The first word that is no flag is where the guest's command may begin. */
function isPassedOn(command: Command): boolean {
  return ["exec", "ssh"].includes(command.name());
}

function flagFault(command: Command, word: string): string | undefined {
  const [name = ""] = word.split("=");
  const known = command.options.flatMap(({ short, long }) => [short, long]);
  // -p8080:80 and -it are the parser's to take apart.
  const isKnown = known.includes(name) || ["-h", "--help"].includes(name);
  const isBundle = /^-[a-zA-Z]{2,}$/.test(name) && known.includes(name.slice(0, 2));
  return isKnown || isBundle ? undefined : `${command.name()} has no ${name}`;
}

/** The words of what stands behind `banger` in a text, as far as they are banger's. */
function wordsOf(text: string): string[] {
  const [line = ""] = text.replaceAll(/\$\{[^}]*\}/g, "X").split(/ [|;&>#] ?|[;|)]| && |, | {2,}|\$\(|\n/);
  return line
    .trim()
    .replaceAll(/["'`.]+$/g, "")
    .split(/\s+/)
    .filter((word) => word !== "" && word !== "…");
}

function withoutComments(source: string): string {
  return source.replaceAll(/\/\*[\s\S]*?\*\//g, "").replaceAll(/^\s*\/\/.*$/gm, "");
}

interface Shown {
  readonly where: string;
  readonly words: readonly string[];
}

function shownInPages(): Shown[] {
  return readPages().flatMap((page) =>
    [...codeBlocks(page).flatMap((block) => block.split("\n")), ...codeWords(page)].flatMap((line) => {
      const found = /^(?:\s*|.*(?:\$ |\$\(|\| ))(?:bin\/)?banger +([a-z-].*)$/.exec(line)?.[1];
      // Prose of help texts, such as "banger failed", is no command line.
      return found === undefined ? [] : [{ where: page.path, words: wordsOf(found) }];
    }),
  );
}

/** In the source: what is put behind a colon, as cures do. */
function shownInSource(): Shown[] {
  return [...new Glob("src/**/*.ts").scanSync(ROOT)]
    .filter((path) => !path.endsWith(".test.ts"))
    .flatMap((path) =>
      withoutComments(readFileSync(join(ROOT, path), "utf8"))
        .matchAll(/: banger ([a-z-][^`"\n]*)/g)
        .map((match) => ({ where: path, words: wordsOf(match[1] ?? "") }))
        .toArray(),
    );
}

test.each([
  ["pages", shownInPages, 200],
  ["cures", shownInSource, 60],
] as const)("command lines in %s name commands and flags that there are", (_, collect, least) => {
  const shown = collect();
  expect(shown.length).toBeGreaterThan(least);
  const wrong = shown.flatMap(({ where, words }) => {
    const problem = fault(words);
    return problem === undefined ? [] : [`${where}: banger ${words.join(" ")}: ${problem}`];
  });
  expect(wrong).toEqual([]);
});

test.each([
  ["run --rm -q . -- no --such thing", undefined],
  ["vm rm -f web", undefined],
  ["exec -u app web ls --color", undefined],
  ["image ls --availible", "ls has no --availible"],
  ["volume creat data", "volume has no creat"],
  ["shwo web", "banger has no shwo"],
])("`banger %s` is judged: %j", (text, problem) => {
  expect(fault(wordsOf(text))).toBe(problem);
});
