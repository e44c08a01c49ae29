/**
 * Examples in the documentation: `sh` blocks in which a line after `$ ` is typed and the lines below are what the terminal
 * then shows. `…` stands for some characters; a line that is only `…` for any number of lines. A block without `$ ` is only shown.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { codeBlocks, type Page, ROOT } from "./markdown.ts";

export interface Example {
  readonly command: string;
  /** What the terminal shows, without the last newline. */
  readonly output: string;
}

/** The blocks of a page that are to be run, each a list of commands for one shell. */
export function readExamples(page: Page): readonly (readonly Example[])[] {
  return codeBlocks(page, "sh")
    .filter((block) => block.startsWith("$ "))
    .map((block) =>
      block
        .trimEnd()
        .split(/^\$ /m)
        .slice(1)
        .map((part) => {
          const [command = "", ...output] = part.trimEnd().split("\n");
          return { command, output: output.join("\n") };
        }),
    );
}

/** Whether `output` is what the example says. */
export function outputFits(example: Example, output: string): boolean {
  const lines = example.output.split("\n").map((line) => {
    if (line === "…") return "(?:.*\\n)*?";
    return `${line.split("…").map(escapeRegExp).join(".+")}\\n`;
  });
  const wanted = example.output === "" ? "" : lines.join("");
  return new RegExp(`^${wanted}$`).test(output === "" ? "" : `${output}\n`);
}

/**
 * Types the commands of a block into one shell on a terminal (script(1) makes it), from the repository's directory, and returns
 * what each one left on the screen.
 */
export async function runExamples(
  examples: readonly Example[],
  env: Readonly<Record<string, string>>,
): Promise<readonly string[]> {
  const dir = mkdtempSync(join(tmpdir(), "banger-docs-"));
  try {
    const file = join(dir, "examples.sh");
    writeFileSync(file, examples.map(({ command }) => typed(command)).join(""));
    const child = Bun.spawn(["script", "-qec", `sh ${file}`, "/dev/null"], {
      cwd: ROOT,
      env: { ...process.env, ...env, SHELL: "/bin/sh", TERM: "xterm", NO_COLOR: "1" },
      stdin: "ignore",
      stdout: "pipe",
    });
    const screen = await child.stdout.text();
    await child.exited;
    return screen.split(MARK).slice(0, -1).map(leftOnScreen);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

/** Never part of any output. */
const MARK = "\u001e";

/** A command, and a mark after its output that leaves `$?` as it was. */
function typed(command: string): string {
  return `${command}\nstatus=$?; printf '\\036'; (exit $status)\n`;
}

/** A live line begins with "carriage return, erase": only what came last in a line is left. */
function leftOnScreen(text: string): string {
  return text
    .replaceAll("\r\n", "\n")
    .split("\n")
    .map((line) => line.split(ERASE_LINE).at(-1) ?? "")
    .join("\n")
    .replace(/\n$/, "");
}

const ERASE_LINE = "\r\u001b[K";

function escapeRegExp(text: string): string {
  return text.replaceAll(/[$()*+.?[\\\]^{|}]/g, "\\$&");
}
