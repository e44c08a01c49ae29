/**
 * Writes the generated pages: docs/cli.md from the command line's own help, docs/openapi.json from the route table, docs/config.md
 * from the table of keys.
 */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Command } from "commander";
import { version } from "../package.json";
import { createOpenApi } from "../src/api/openapi.ts";
import { CliContext } from "../src/cli/context.ts";
import { createProgram } from "../src/cli/program.ts";
import { renderConfigDoc } from "../src/model/config-doc.ts";

/** Columns of the help texts in docs/cli.md. */
const WIDTH = 100;

const CLI_HEAD = `# Command line

This page is generated from the command line's own help. After a change run \`npm run docs\`.

Data goes to stdout, everything said to a person to stderr. What stands behind \`--\` is the guest's and is not looked at.
\`banger vm VERB\` is the long form of every verb on VMs. A VM is named by its name, its id, or a prefix of its id that no
other VM has. Sizes read \`512M\`, \`4G\` or \`4GiB\`, a bare number is MiB; durations \`500ms\`, \`30s\` or \`5m\`, a bare number is
seconds. Exit codes are in [errors.md](errors.md).
`;

/** The whole program; nothing of it is run. */
const PROGRAM = await createProgram(new CliContext({ self: [], version }, []));

/** A command of the program, with the words that call it. */
export interface NamedCommand {
  /** Such as `banger image ls`. */
  readonly name: string;
  readonly command: Command;
}

/** Every command of the program, the program itself first, in the order of its help. Nothing is run. */
export function listCommands(): readonly NamedCommand[] {
  return flatten("", PROGRAM);
}

/** The text of docs/cli.md. */
export function renderCli(): string {
  const sections = listCommands().map(
    ({ name, command }) => `## ${name}\n\n\`\`\`text\n${helpOf(command)}\n\`\`\`\n`,
  );
  return [CLI_HEAD, ...sections].join("\n");
}

/** The text of docs/openapi.json. */
export function renderOpenApi(): string {
  return `${JSON.stringify(createOpenApi(version), null, 2)}\n`;
}

/** The generated files: their paths relative to the repository, and their texts. */
export function renderAll(): Readonly<Record<string, string>> {
  return {
    "docs/cli.md": renderCli(),
    "docs/openapi.json": renderOpenApi(),
    "docs/config.md": renderConfigDoc(),
  };
}

function flatten(parent: string, command: Command): readonly NamedCommand[] {
  const name = `${parent} ${command.name()}`.trim();
  return [{ name, command }, ...command.commands.flatMap((child) => flatten(name, child))];
}

/** What `--help` prints, examples included, at a fixed width and without colour. */
function helpOf(command: Command): string {
  let text = "";
  command.configureOutput({
    writeOut: (part) => {
      text += part;
    },
    getOutHelpWidth: () => WIDTH,
    getOutHasColors: () => false,
  });
  command.outputHelp();
  return text.trim();
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(renderAll())) {
    writeFileSync(join(import.meta.dir, "..", path), text);
    console.log(path);
  }
}
