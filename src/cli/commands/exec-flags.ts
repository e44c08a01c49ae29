/** The flags that say how a command runs, shared by run, exec and shell. */
import type { Command } from "commander";
import type { ExecRequest } from "../../api/types/exec.ts";
import { DEFAULT_DETACH_KEYS, parseDetachKeys } from "../../model/detach-keys.ts";
import { parseDurationMs } from "../../model/quantities.ts";
import { parseEnvEntry, validateUser, validateWorkdir } from "../../model/spec.ts";
import type { Client } from "../../sdk/client.ts";
import type { KeyOptions } from "../terminal/keys.ts";
import { collect } from "./repeatable.ts";

export interface ExecFlags {
  readonly env: readonly string[];
  readonly workdir?: string;
  readonly user?: string;
  readonly timeout?: string;
  readonly tty?: boolean;
  readonly stdin: boolean;
  readonly detachKeys?: string;
}

/** Those of commands in a VM that runs. */
export interface LiveExecFlags extends ExecFlags {
  readonly forwardAgent?: boolean;
  /** What is new in the host's work tree goes first. */
  readonly sync?: boolean;
  /** `~` at the start of a line is for banger. */
  readonly escapes?: boolean;
}

export function addExecOptions(command: Command): Command {
  return command
    .option("-e, --env <KEY=VALUE>", "environment of the command, may be repeated", collect, [])
    .option("-w, --workdir <dir>", "its working directory")
    .option("-u, --user <user>", "user, or user:group, to run as")
    .option("--timeout <duration>", "kill it in the guest after this long, such as 30s or 5m")
    .option("-t, --tty", "give it a terminal")
    .option(
      "--detach-keys <keys>",
      "what leaves it running, on a terminal (default: detach_keys of the configuration)",
    )
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

/**
 * Keys for banger at the command's terminal: the flag's, those of `BANGER_DETACH_KEYS`, or those of the configuration, for which the
 * daemon is asked when there is a terminal. Errors: `invalid_argument`, the daemon's.
 */
export async function keyOptions(
  { detachKeys }: ExecFlags,
  { escapes, client }: { readonly escapes: boolean; readonly client: Client | undefined },
): Promise<KeyOptions> {
  const own = detachKeys ?? process.env["BANGER_DETACH_KEYS"];
  return { detachKeys: parseDetachKeys(own ?? (await configured(client)) ?? DEFAULT_DETACH_KEYS), escapes };
}

async function configured(client: Client | undefined): Promise<string | undefined> {
  const settings = (await client?.config())?.settings ?? [];
  const found = settings.find(({ key }) => key === "detach_keys")?.value;
  return found === undefined ? undefined : String(found);
}

export function parseEnv(entries: readonly string[]): Record<string, string> {
  return Object.fromEntries(entries.map(parseEnvEntry));
}
