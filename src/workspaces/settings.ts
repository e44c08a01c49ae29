/** What the configuration of a repository and of its user says that a copy needs. Reading it runs nothing. */
import { BangerError } from "../model/errors.ts";
import { type GitOptions, runGit } from "./git.ts";

export interface Settings {
  /** `user.name` and `user.email`, as far as they are known. */
  readonly author: { readonly name?: string | undefined; readonly email?: string | undefined };
  /** What travels with the copy, in order: remotes and what branches follow. Passwords in addresses do not. */
  readonly kept: readonly (readonly [string, string])[];
  /** How line ends are converted, for the copy and for whoever compares with it. */
  readonly conversion: readonly (readonly [string, string])[];
  /** Configuration that turns the repository's own filters and hooks off. */
  readonly nothingRuns: readonly (readonly [string, string])[];
  /** The user's own file of what is ignored. */
  readonly excludesFile: string | undefined;
  readonly sparse: boolean;
  /** The copy would lack objects. */
  readonly partial: boolean;
  /** Whether the permission to execute is to be believed. */
  readonly fileMode: boolean;
}

const KEPT =
  /^(remote\..+\.(url|pushurl|fetch|push|tagopt|prune)|branch\..+\.(remote|merge|rebase|pushremote)|submodule\..+\.(url|active|branch)|init\.defaultbranch|pull\.rebase)$/i;
/** Of configuration that is copied; more is no remote of anybody. */
const MAX_KEPT = 4096;
/** What runs programs by a name that the repository has chosen, which may be empty (gitattributes(5), git-hook(1)). */
const RUNS = /^(filter|hook)\.(.*)\.[a-z]+$/is;
/** What a decoder puts in the place of bytes that are no UTF-8. */
const ODD = "\ufffd";

/** Errors: those of git; `unsupported` for a filter or a hook that cannot be turned off. */
export async function readSettings(git: GitOptions): Promise<Settings> {
  const listed = await runGit(["config", "--list", "-z", "--show-scope"], { ...git, userConfig: true });
  const fields = listed.toString("utf8").split("\0");
  const kept: [string, string][] = [];
  const [filters, hooks] = [new Set<string>(), new Set<string>()];
  const last = new Map<string, string>();
  for (let at = 0; at + 1 < fields.length; at += 2) {
    const scope = fields[at] ?? "";
    const [key = "", ...lines] = (fields[at + 1] ?? "").split("\n");
    const value = lines.join("\n");
    // Ours, that turn things off.
    if (scope === "command") continue;
    last.set(key.toLowerCase(), value);
    const [, kind = "", name] = RUNS.exec(key) ?? [];
    if (name?.includes(ODD) === true) throw oddName(key);
    if (name !== undefined) (kind.toLowerCase() === "hook" ? hooks : filters).add(name);
    const isLocal = scope === "local" || scope === "worktree";
    if (isLocal && KEPT.test(key) && kept.length < MAX_KEPT) {
      kept.push([key, withoutPassword(value)]);
    }
  }
  const isTrue = (key: string): boolean => /^(true|yes|on|1|)$/i.test(last.get(key) ?? "false");
  return {
    author: { name: last.get("user.name"), email: last.get("user.email") },
    kept,
    conversion: ["core.autocrlf", "core.eol"].flatMap((key): [string, string][] => {
      const value = last.get(key);
      return value !== undefined && /^[a-z]{1,8}$/i.test(value) ? [[key, value]] : [];
    }),
    nothingRuns: [
      ...[...filters].flatMap((name): [string, string][] => [
        [`filter.${name}.clean`, ""],
        [`filter.${name}.smudge`, ""],
        [`filter.${name}.process`, ""],
        [`filter.${name}.required`, "false"],
      ]),
      // Git has them since 2.54, beside the files that core.hooksPath turns off.
      ...[...hooks].map((name): [string, string] => [`hook.${name}.enabled`, "false"]),
    ],
    excludesFile: await excludesFile(git, last.has("core.excludesfile")),
    sparse: isTrue("core.sparsecheckout"),
    partial:
      last.has("extensions.partialclone") ||
      [...last.keys()].some((key) => /^remote\..*\.promisor$/.test(key) && isTrue(key)),
    fileMode: !/^(false|no|off|0)$/i.test(last.get("core.filemode") ?? "true"),
  };
}

/** `~` is the user's home, as git itself reads it. */
async function excludesFile(git: GitOptions, isSet: boolean): Promise<string | undefined> {
  const home = process.env["HOME"] ?? "";
  const fallback = `${process.env["XDG_CONFIG_HOME"] ?? `${home}/.config`}/git/ignore`;
  if (!isSet) return fallback;
  const scopes = [["--system"], ["--global"], ["--local"]];
  let found: string | undefined;
  for (const scope of scopes) {
    const said = await runGit(["config", ...scope, "--type=path", "--get", "-z", "core.excludesFile"], {
      ...git,
      userConfig: true,
    }).catch(() => undefined);
    // A scope without it, or without a file at all, says no.
    if (said !== undefined && said.length > 1) found = said.toString("utf8", 0, said.length - 1);
  }
  return found ?? fallback;
}

/** `https://user:secret@host/` without the secret; what is no URL stays as it is. */
function withoutPassword(value: string): string {
  return value.replace(/^([a-z][a-z0-9+.-]*:\/\/)([^/@\s]*)@/i, (_, scheme: string, user: string) => {
    const [name = "", password] = user.split(/:(.*)/s);
    if (password === undefined)
      return /^https?:/i.test(scheme) && name.length >= 20 ? scheme : `${scheme}${user}@`;
    return /^https?:/i.test(scheme) ? scheme : `${scheme}${name}@`;
  });
}

/** Variables are text for this runtime: what is none cannot be named to git. */
function oddName(key: string): BangerError {
  return new BangerError(
    "unsupported",
    `the configuration has ${JSON.stringify(key)}, whose name is no UTF-8, so that it cannot be turned off`,
    { cure: "take it out of the repository's configuration; see: git config --list --show-origin" },
  );
}
