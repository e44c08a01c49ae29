/** Command lines as Firecracker and its jailer parse them (src/utils/src/arg_parser.rs): `--name value`, never `=`. */

export interface ArgumentRules {
  readonly flags: readonly string[];
  /** With a value, at most once. */
  readonly values: readonly string[];
  /** With a value, any number of times. */
  readonly lists: readonly string[];
  readonly required: readonly string[];
  /** Two that cannot be together. */
  readonly forbids: readonly (readonly [string, string])[];
}

export interface ParsedArguments {
  readonly flags: ReadonlySet<string>;
  readonly values: ReadonlyMap<string, string>;
  readonly lists: ReadonlyMap<string, readonly string[]>;
  /** What follows `--`. */
  readonly extra: readonly string[];
}

/** An argument that is not to be had: its message is the program's, `debug` what it prints of it. */
export class ArgumentError extends Error {
  readonly debug: string;

  constructor(debug: string, message: string) {
    super(message);
    this.debug = debug;
  }
}

/** `--help` and `--version` win over everything else, as in the original. Throws an ArgumentError. */
export function parseArguments(argv: readonly string[], rules: ArgumentRules): ParsedArguments {
  const end = argv.indexOf("--");
  const own = end < 0 ? argv : argv.slice(0, end);
  const extra = end < 0 ? [] : argv.slice(end + 1);
  for (const early of ["help", "version"])
    if (own.includes(`--${early}`))
      return { flags: new Set([early]), values: new Map(), lists: new Map(), extra };

  const flags = new Set<string>();
  const values = new Map<string, string>();
  const lists = new Map<string, string[]>();
  for (let index = 0; index < own.length; index++) {
    const argument = own[index] ?? "";
    const name = argument.slice(2);
    const isList = rules.lists.includes(name);
    if (!argument.startsWith("--")) throw unexpected(argument);
    if (![rules.flags, rules.values, rules.lists].some((known) => known.includes(name)))
      throw unexpected(name);
    if (flags.has(name) || values.has(name))
      throw new ArgumentError(
        `DuplicateArgument("${name}")`,
        `The argument '${name}' was provided more than once.`,
      );
    if (rules.flags.includes(name)) {
      flags.add(name);
      continue;
    }
    const value = own[++index];
    if (value === undefined || value.startsWith("--"))
      throw new ArgumentError(
        `MissingValue("${name}")`,
        `The argument '${name}' requires a value, but none was supplied.`,
      );
    if (isList) lists.set(name, [...(lists.get(name) ?? []), value]);
    else values.set(name, value);
  }
  demand(rules, (name) => flags.has(name) || values.has(name));
  return { flags, values, lists, extra };
}

/** Firecracker's and the jailer's rule for `--id` (src/utils/src/validators.rs). */
export function instanceIdFault(id: string): string | undefined {
  if (id.length < 1 || id.length > 64) return `InvalidLen(${id.length}, 1, 64)`;
  const bad = /[^-\p{Alphabetic}\p{N}]/u.exec(id);
  return bad === null ? undefined : `InvalidChar('${bad[0]}', ${bad.index})`;
}

function demand(rules: ArgumentRules, given: (name: string) => boolean): void {
  for (const name of rules.required)
    if (!given(name))
      throw new ArgumentError(`MissingArgument("${name}")`, `Argument '${name}' required, but not found.`);
  for (const [one, other] of rules.forbids)
    if (given(one) && given(other))
      throw new ArgumentError(
        `ForbiddenArgument("${one}", "${other}")`,
        `Argument '${other}' cannot be used together with argument '${one}'.`,
      );
}

function unexpected(name: string): ArgumentError {
  return new ArgumentError(
    `UnexpectedArgument("${name}")`,
    `Found argument '${name}' which wasn't expected, or isn't valid in this context.`,
  );
}
