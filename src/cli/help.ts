/** `help WORDS`: the help of any command, however deep; the parser's own knows the first word only. */
import type { Command } from "commander";
import { nearest } from "../lib/nearest.ts";
import { BangerError } from "../model/errors.ts";
import { quote } from "../model/names.ts";

/** Prints the help of the command that the words name. Errors: `invalid_argument` for a word that names none. */
export function printHelp(program: Command, words: readonly string[]): void {
  let command = program;
  let path = program.name();
  // `vm` is the long form of every verb on VMs.
  for (const word of words[0] === "vm" ? words.slice(1) : words) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (next === undefined) throw unknownCommand(command, path, word);
    command = next;
    path += ` ${next.name()}`;
  }
  command.outputHelp();
}

function unknownCommand(command: Command, path: string, word: string): BangerError {
  const names = command.commands.flatMap((one) => [one.name(), ...one.aliases()]);
  const meant = nearest(
    word,
    names.filter((name) => !name.startsWith("_")),
  );
  const guess = meant === undefined ? "" : ` (did you mean ${meant}?)`;
  return new BangerError("invalid_argument", `${path} has no command ${quote(word)}${guess}`, {
    cure: `see what there is with: ${path} --help`,
    details: { field: "command" },
  });
}
