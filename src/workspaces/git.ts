/**
 * Runs git as a program, so that nothing that a repository says makes it run anything else: hooks, filters, monitors, helpers and
 * remotes of the repository's own configuration are off, the user's and the system's configuration is not read, and nothing is
 * asked or fetched. docs/security.md names the keys; git-config(1) and git(1) are the source.
 */
import { type ProgramEnd, type RunningProgram, runProgram, startProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";

export interface GitOptions {
  readonly signal: AbortSignal;
  /** The repository; default: the one that `cwd` is in. */
  readonly gitDir?: string | undefined;
  readonly workTree?: string | undefined;
  readonly cwd?: string | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** Further configuration, over everything else. */
  readonly config?: readonly (readonly [string, string])[] | undefined;
  readonly stdin?: Uint8Array | AsyncIterable<Uint8Array> | undefined;
  /** Names are names, whatever they begin with; some commands of git do not take this. Default: true. */
  readonly literal?: boolean | undefined;
  /** Translates a failure; default: `failed_precondition` with git's words. */
  readonly failure?: ((end: ProgramEnd) => BangerError) | undefined;
  /** The user's and the system's configuration is read: for asking what is in it, and nothing else. */
  readonly userConfig?: boolean | undefined;
}

/** What no repository may turn on again: given on the command line, these go before every file. */
const SAFE: readonly (readonly [string, string])[] = [
  ["core.fsmonitor", "false"],
  ["core.hooksPath", "/dev/null"],
  ["core.attributesFile", "/dev/null"],
  ["core.excludesFile", "/dev/null"],
  ["core.untrackedCache", "false"],
  ["core.sshCommand", "false"],
  ["core.askPass", "false"],
  ["core.pager", "cat"],
  ["core.alternateRefsCommand", "true"],
  ["core.quotePath", "true"],
  ["credential.helper", ""],
  ["gc.auto", "0"],
  ["maintenance.auto", "false"],
  ["protocol.allow", "never"],
  ["submodule.recurse", "false"],
  ["pack.writeReverseIndex", "false"],
  ["log.showSignature", "false"],
];

const NEWLINE = Buffer.from("\n");

/** Variables of git that stay with whoever set them. */
const FORGOTTEN = /^(GIT_|SSH_ASKPASS$|PAGER$|EDITOR$|VISUAL$)/;

/** Runs git to its end; returns what it wrote, at most 16 MiB. Errors: `unavailable` (no git), `cancelled`, those of `failure`. */
export async function runGit(args: readonly string[], options: GitOptions): Promise<Buffer> {
  const { stdin } = options;
  const { stdout } = await runProgram(["git", ...argvOf(args, options)], {
    ...programOptions(args, options),
    ...(stdin === undefined ? {} : { stdin }),
  });
  return Buffer.from(stdout.buffer, stdout.byteOffset, stdout.byteLength);
}

/** As `runGit`; the one line that it wrote, without its end. */
export async function gitLine(args: readonly string[], options: GitOptions): Promise<string> {
  return (await runGit(args, options)).toString("utf8").replace(/\n$/, "");
}

/** As `gitLine`; undefined when git ends with exit code 1, which is how it says no. */
export async function tryGitLine(args: readonly string[], options: GitOptions): Promise<string | undefined> {
  const no = new BangerError("not_found", "git said no");
  const failure = (end: ProgramEnd): BangerError =>
    end.exitCode === 1 ? no : (options.failure ?? gitFailure(args))(end);
  try {
    return await gitLine(args, { ...options, failure });
  } catch (error) {
    if (error === no) return undefined;
    throw error;
  }
}

/** What git writes, however much, in pieces. Giving up early ends the program. */
export async function* streamGit(args: readonly string[], options: GitOptions): AsyncGenerator<Buffer> {
  const program = openGit(args, options);
  try {
    if (options.stdin !== undefined) feed(program, options.stdin);
    for await (const piece of program.stdout ?? []) yield piece as Buffer;
    await program.done;
  } finally {
    await program.stop();
  }
}

/** What git writes as records that end with NUL, without it. */
export async function* gitRecords(args: readonly string[], options: GitOptions): AsyncGenerator<Buffer> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of streamGit(args, options)) {
    const have = rest.length === 0 ? piece : Buffer.concat([rest, piece]);
    let from = 0;
    for (let end = have.indexOf(0); end >= 0; end = have.indexOf(0, from)) {
      yield have.subarray(from, end);
      from = end + 1;
    }
    rest = have.subarray(from);
  }
  // A format that ends with NUL has a newline behind it.
  if (rest.length > 0 && !rest.equals(NEWLINE))
    throw new BangerError("internal", `git ${args[0] ?? ""} broke off`);
}

/** Starts git with pipes at both ends. The caller stops it. */
export function openGit(args: readonly string[], options: GitOptions): RunningProgram {
  return startProgram(["git", ...argvOf(args, options)], {
    ...programOptions(args, options),
    stdin: "pipe",
    stdout: "pipe",
  });
}

function feed(program: RunningProgram, source: Uint8Array | AsyncIterable<Uint8Array>): void {
  const { stdin } = program;
  if (stdin === undefined) return;
  void (async () => {
    for await (const piece of source instanceof Uint8Array ? [source] : source) {
      if (stdin.destroyed) return;
      if (!stdin.write(piece))
        await new Promise((resolve) => stdin.once("drain", resolve).once("close", resolve));
    }
    stdin.end();
  })().catch((error: unknown) => stdin.destroy(error instanceof Error ? error : undefined));
}

function argvOf(args: readonly string[], { gitDir, workTree, literal = true }: GitOptions): string[] {
  return [
    "--no-pager",
    "--no-optional-locks",
    ...(literal ? ["--literal-pathspecs"] : []),
    "--no-replace-objects",
    ...(gitDir === undefined ? [] : [`--git-dir=${gitDir}`]),
    ...(workTree === undefined ? [] : [`--work-tree=${workTree}`]),
    ...args,
  ];
}

function programOptions(
  args: readonly string[],
  options: GitOptions,
): {
  env: Record<string, string | undefined>;
  cwd: string;
  signal: AbortSignal;
  failure: (end: ProgramEnd) => BangerError;
} {
  const config = [...SAFE, ...(options.config ?? [])];
  const settings = config.flatMap(([key, value], index): [string, string][] => [
    [`GIT_CONFIG_KEY_${index}`, key],
    [`GIT_CONFIG_VALUE_${index}`, value],
  ]);
  const forgotten = Object.keys(process.env).filter((name) => FORGOTTEN.test(name));
  const noUserConfig = { GIT_CONFIG_NOSYSTEM: "1", GIT_CONFIG_GLOBAL: "/dev/null", GIT_ATTR_NOSYSTEM: "1" };
  return {
    env: {
      ...Object.fromEntries(forgotten.map((name) => [name, undefined])),
      ...(options.userConfig === true ? {} : noUserConfig),
      GIT_TERMINAL_PROMPT: "0",
      GIT_ALLOW_PROTOCOL: "none",
      GIT_NO_LAZY_FETCH: "1",
      GIT_CONFIG_COUNT: String(config.length),
      ...Object.fromEntries(settings),
      ...options.env,
    },
    cwd: options.cwd ?? options.workTree ?? "/",
    signal: options.signal,
    failure: options.failure ?? gitFailure(args),
  };
}

function gitFailure(args: readonly string[]): (end: ProgramEnd) => BangerError {
  return ({ exitCode, signal, stderrTail }) => {
    const how = signal === undefined ? `exit code ${exitCode}` : `killed by ${signal}`;
    const words = stderrTail.replaceAll(/^(fatal|error): /gm, "");
    return new BangerError(
      "failed_precondition",
      `git ${args[0] ?? ""} failed: ${words === "" ? how : words}`,
      {
        details: { exitCode, signal },
      },
    );
  };
}
