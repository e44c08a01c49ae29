/** Completion: what may stand in the place of the word under the cursor. */
import type { Command } from "commander";
import { findDaemon } from "./start-daemon.ts";

/**
 * The candidates for the last of `words` (which may be empty), of the program's own definitions and, where a VM or an image is
 * meant, of the names that live now. A daemon that does not run is not started for it.
 */
export async function complete(program: Command, words: readonly string[]): Promise<string[]> {
  // What stands behind `--` is the guest's.
  if (words.slice(0, -1).includes("--")) return [];
  const current = words.at(-1) ?? "";
  const command = innermost(program, words.slice(0, -1));
  const candidates = current.startsWith("-") ? flagsOf(command) : await wordsOf(command);
  return candidates.filter((candidate) => candidate.startsWith(current)).toSorted();
}

/** The command that the words before the cursor name; `vm` is the long form of every verb. */
function innermost(program: Command, words: readonly string[]): Command {
  let command = program;
  for (const word of words[0] === "vm" ? words.slice(1) : words) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next !== undefined) command = next;
  }
  return command;
}

function flagsOf(command: Command): string[] {
  const own = command.options.flatMap((option) => [option.long, option.short]).filter((flag) => flag != null);
  return [...own, "--help"];
}

async function wordsOf(command: Command): Promise<string[]> {
  if (command.commands.length > 0)
    return command.commands.map((one) => one.name()).filter((name) => !name.startsWith("_"));
  const [argument] = command.registeredArguments;
  if (argument?.name() === "vm")
    return await live(async (client) => (await client.listVms()).map((vm) => vm.name));
  if (argument?.name() === "name" && command.parent?.name() === "image") {
    return await live(async (client) => (await client.listImages()).map((image) => image.name));
  }
  return [];
}

type Daemon = NonNullable<Awaited<ReturnType<typeof findDaemon>>>;

async function live(ask: (client: Daemon) => Promise<string[]>): Promise<string[]> {
  const client = await findDaemon();
  return client === undefined ? [] : await ask(client);
}
