/** The flags that say how a command runs, shared by run, exec and shell. */
import type { Command } from "commander";
import type { ExecRequest } from "../../api/types/exec.ts";
import { parseDurationMs } from "../../model/quantities.ts";
import { parseEnvEntry, validateUser, validateWorkdir } from "../../model/spec.ts";
import { DEFAULT_DETACH_KEYS, type KeyOptions, parseDetachKeys } from "../terminal/keys.ts";

export interface ExecFlags {
  readonly env: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly timeout?: string;
  readonly tty?: boolean;
  readonly stdin: boolean;
  readonly detachKeys?: string;
}

export function addExecOptions(command: Command): Command {
  return command
    .option("-e, --env <KEY=VALUE>", "environment of the command, may be repeated", collect, [])
    .option("-w, --workdir <dir>", "its working directory")
    .option("-u, --user <user>", "user, or user:group, to run as")
    .option("--timeout <duration>", "kill it in the guest after this long, such as 30s or 5m")
    .option("-t, --tty", "give it a terminal")
    .option("--detach-keys <keys>", "what leaves it running, on a terminal (default: ctrl-p,ctrl-q)")
    .option("-i, --interactive", "forward stdin (always done unless --no-stdin)")
    .option("--no-stdin", "give it an empty stdin");
}

/** Checks every flag. Errors: `invalid_argument`. */
export function execRequest(flags: ExecFlags, argv: readonly string[]): ExecRequest {
  return {
    argv,
    env: parseEnv(flags.env),
    cwd: flags.workdir === undefined ? undefined : validateWorkdir(flags.workdir),
    user: flags.user === undefined ? undefined : validateUser(flags.user),
    timeoutMs: flags.timeout === undefined ? undefined : parseDurationMs(flags.timeout, "--timeout"),
  };
}

/** Keys for banger at the command's terminal: the flag's, those of `BANGER_DETACH_KEYS`, or Docker's. Errors: `invalid_argument`. */
export function keyOptions({ detachKeys }: ExecFlags, escapes: boolean): KeyOptions {
  const text = detachKeys ?? process.env["BANGER_DETACH_KEYS"] ?? DEFAULT_DETACH_KEYS;
  return { detachKeys: parseDetachKeys(text), escapes };
}

export function parseEnv(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(entries.map(parseEnvEntry));
}

/** Gathers a flag that may be repeated. */
export function collect(value: string, previous: readonly string[]): string[] {
  return [...previous, value];
}
