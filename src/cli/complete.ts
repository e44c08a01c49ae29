/** Completion: what may stand in the place of the word under the cursor. */
import type { Argument, Command, Option } from "commander";
import { HOST_KERNEL, IMAGE_KERNEL } from "../model/kernel-names.ts";
import type { LiveNames, Noun } from "./live-names.ts";

/** What the words that a flag takes are names of. */
const OPTION_NOUNS: Readonly<Record<string, Noun>> = {
  "--image": "image or catalog",
  "--kernel": "kernel",
  "--snapshot": "snapshot",
  "--volume": "volume",
};

/** The same of arguments, wherever they stand. */
const ARGUMENT_NOUNS: Readonly<Record<string, Noun>> = { vm: "vm", snapshot: "snapshot" };

/** The same of the arguments `name` and `id`, which are of the command that takes them; any other `name` is a new one. */
const NAME_NOUNS: Readonly<Record<string, Noun>> = {
  "image export": "image",
  "image pull": "catalog",
  "image rm": "image",
  "image show": "image",
  "image tag": "image",
  "kernel rm": "kernel",
  "kernel show": "kernel",
  "template rm": "template",
  "volume rm": "volume",
  "volume set": "volume",
  "volume show": "volume",
};

/**
 * The candidates for the last of `words` (which may be empty), of the program's own definitions and, where something is named that there
 * is, of the names that live now.
 */
export async function complete(
  program: Command,
  words: readonly string[],
  names: LiveNames,
): Promise<string[]> {
  const current = words.at(-1) ?? "";
  const place = placeOf(program, words.slice(0, -1));
  if (place === undefined) return [];
  const { prefix, candidates } = await candidatesAt(place, current, names);
  return [...new Set(candidates)]
    .map((candidate) => prefix + candidate)
    .filter((candidate) => candidate.startsWith(current))
    .toSorted();
}

interface Place {
  readonly command: Command;
  /** The arguments before. */
  readonly given: readonly string[];
  /** The flag whose value is to come. */
  readonly option: Option | undefined;
}

/** Where the words before the cursor lead to; undefined: what comes is not banger's. */
function placeOf(program: Command, words: readonly string[]): Place | undefined {
  let command = program;
  let option: Option | undefined;
  const given: string[] = [];
  // `vm` is the long form of every verb on VMs.
  for (const word of words[0] === "vm" ? words.slice(1) : words) {
    const next = command.commands.find((one) => one.name() === word || one.aliases().includes(word));
    if (option !== undefined) option = undefined;
    else if (word === "--") return undefined;
    else if (word.startsWith("-") && word !== "-") option = demandsValue(command, word);
    else if (next !== undefined && given.length === 0) command = next;
    else given.push(word);
  }
  // Behind its VM stands the guest's command, unless these are the words `exec ls`, behind which the VM stands.
  if (command.name() !== "exec" || given.length === 0) return { command, given, option };
  return given.length === 1 && given[0] === "ls" ? { command, given: [], option } : undefined;
}

/** The option of that flag, when its value is the next word. */
function demandsValue(command: Command, flag: string): Option | undefined {
  return command.options.find(({ short, long, required }) => required && (flag === short || flag === long));
}

interface Candidates {
  /** What stands before each candidate in the word under the cursor. */
  readonly prefix: string;
  readonly candidates: readonly string[];
}

async function candidatesAt(place: Place, current: string, names: LiveNames): Promise<Candidates> {
  const { command, option } = place;
  if (option !== undefined) return { prefix: "", candidates: await valuesOf(option, names) };
  const [flag = "", value] = current.split(/=(.*)/s);
  const assigned = value === undefined ? undefined : demandsValue(command, flag);
  if (assigned !== undefined) return { prefix: `${flag}=`, candidates: await valuesOf(assigned, names) };
  if (current.startsWith("-")) return { prefix: "", candidates: flagsOf(command) };
  return { prefix: "", candidates: await wordsAt(place, names) };
}

function flagsOf(command: Command): string[] {
  const own = command.options.flatMap((option) => [option.long, option.short]).filter((flag) => flag != null);
  return [...own, "--help"];
}

async function valuesOf({ long, argChoices }: Option, names: LiveNames): Promise<readonly string[]> {
  const noun = OPTION_NOUNS[long ?? ""];
  if (noun === undefined) return argChoices ?? [];
  const found = await names(noun);
  if (noun === "kernel") return [...found, HOST_KERNEL, IMAGE_KERNEL];
  // A volume is mounted somewhere: NAME:/PATH.
  return noun === "volume" ? found.map((name) => `${name}:`) : found;
}

async function wordsAt({ command, given }: Place, names: LiveNames): Promise<readonly string[]> {
  if (command.commands.length > 0 && given.length === 0)
    return command.commands.map((one) => one.name()).filter((name) => !name.startsWith("_"));
  const args = command.registeredArguments;
  const argument = args[given.length] ?? args.findLast(({ variadic }) => variadic);
  if (argument === undefined) return [];
  const noun = nounOf(command, argument);
  const found = noun === undefined ? (argument.argChoices ?? []) : await names(noun);
  return found.filter((name) => !given.includes(name));
}

function nounOf(command: Command, argument: Argument): Noun | undefined {
  const name = argument.name();
  if (name !== "name" && name !== "id") return ARGUMENT_NOUNS[name];
  return NAME_NOUNS[`${command.parent?.name()} ${command.name()}`];
}
