/** The repository that a path of the host is in, and whether it can be copied as it is. Nothing is written. */
import { existsSync, lstatSync, readFileSync, realpathSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import { BangerError } from "../model/errors.ts";
import { type GitOptions, gitLine, tryGitLine } from "./git.ts";
import { readSettings, type Settings } from "./settings.ts";

export interface Repository {
  /** The top of the work tree. */
  readonly top: string;
  readonly gitDir: string;
  /** The directory that all work trees of the repository share. */
  readonly commonDir: string;
  readonly format: "sha1" | "sha256";
  readonly settings: Settings;
  /** The commit that is checked out; undefined: there is none yet. */
  readonly head: string | undefined;
  /** The branch that is checked out, as `refs/heads/…`; undefined: none (a detached HEAD). */
  readonly branch: string | undefined;
  /** The commits whose parents are not there, when it is a shallow clone. */
  readonly shallow: readonly string[];
}

/** What another git has begun and not finished, by the file that says so. */
const UNDER_WAY: Readonly<Record<string, string>> = {
  MERGE_HEAD: "merge",
  CHERRY_PICK_HEAD: "cherry-pick",
  REVERT_HEAD: "revert",
  "rebase-merge": "rebase",
  "rebase-apply": "rebase",
};

/**
 * Finds the repository. Errors: `not_found` (no such path), `failed_precondition` (no repository, a bare one, one that belongs to
 * somebody else; unless `busy`, one in the middle of something), `conflict` (its index is locked), `unsupported` (a partial clone).
 */
export async function findRepository(
  path: string,
  signal: AbortSignal,
  { busy = false }: { readonly busy?: boolean } = {},
): Promise<Repository> {
  const place = demandDirectory(path);
  const deep: GitOptions = {
    signal,
    cwd: place,
    userConfig: true,
    failure: (end) => notARepository(path, end.stderrTail),
  };
  const ask = async (...args: string[]): Promise<string> => await gitLine(["rev-parse", ...args], deep);
  const bare = await ask("--is-bare-repository");
  const inside = await ask("--is-inside-work-tree");
  if (bare === "true" || inside !== "true") throw notAWorkTree(path, bare === "true");
  const [top, gitDir, commonDir, format] = await Promise.all([
    ask("--show-toplevel"),
    ask("--absolute-git-dir"),
    ask("--path-format=absolute", "--git-common-dir"),
    ask("--show-object-format"),
  ]);
  // Below the top, the configuration of the one that was found may name the work tree of another.
  const isOwn = async (): Promise<boolean> =>
    place === top || (await gitLine(["rev-parse", "--absolute-git-dir"], { ...deep, cwd: top })) === gitDir;
  if (!hasGit(top) || !(await isOwn())) throw isElsewhere(path, top);
  const git: GitOptions = { signal, gitDir, workTree: top };
  const [settings, head, branch] = await Promise.all([
    readSettings(git),
    tryGitLine(["rev-parse", "--quiet", "--verify", "HEAD^{commit}"], git),
    tryGitLine(["symbolic-ref", "--quiet", "HEAD"], git),
  ]);
  if (settings.partial) throw partialClone(top);
  if (!busy) demandRest(top, gitDir);
  return {
    top,
    gitDir,
    commonDir,
    format: format === "sha256" ? "sha256" : "sha1",
    settings,
    head,
    branch,
    shallow: readShallow(commonDir),
  };
}

/** Refuses a repository in which another git is at work. Errors: `failed_precondition`, `conflict`. */
function demandRest(top: string, gitDir: string): void {
  for (const [name, what] of Object.entries(UNDER_WAY)) {
    if (!existsSync(join(gitDir, name))) continue;
    throw new BangerError("failed_precondition", `${top} is in the middle of a ${what}`, {
      cure: `finish it, or give it up with: git ${what} --abort`,
      details: { path: top },
    });
  }
  const lock = join(gitDir, "index.lock");
  if (!existsSync(lock)) return;
  throw new BangerError("conflict", `another git is at work in ${top}: ${lock} is there`, {
    cure: `wait until it has ended; if none runs any more, remove ${lock}`,
    details: { path: top },
  });
}

function demandDirectory(path: string): string {
  const status = statSync(path, { throwIfNoEntry: false });
  if (status?.isDirectory() === true) return realpathSync(path);
  if (status !== undefined) {
    throw new BangerError("failed_precondition", `${path} is no directory`, {
      cure: "name the directory of a git work tree",
      details: { path },
    });
  }
  throw new BangerError("not_found", `there is no directory ${path}`, {
    cure: "name the directory of a git work tree; a command goes behind --, such as: banger run -- ls",
    details: { path },
  });
}

/** What is copied is what lies beside the `.git`, whatever the repository's own configuration says where its work tree is. */
function hasGit(top: string): boolean {
  return lstatSync(join(top, ".git"), { throwIfNoEntry: false }) !== undefined;
}

function isElsewhere(path: string, top: string): BangerError {
  return new BangerError(
    "failed_precondition",
    `the repository of ${path} keeps its work tree elsewhere: ${top}`,
    {
      cure: "name a directory with a .git of its own; see: git config core.worktree",
      details: { path },
    },
  );
}

function readShallow(commonDir: string): string[] {
  const path = join(commonDir, "shallow");
  if (!existsSync(path)) return [];
  return readFileSync(path, "latin1")
    .split("\n")
    .filter((line) => /^[0-9a-f]{40,64}$/.test(line));
}

function notARepository(path: string, words: string): BangerError {
  const details = { path };
  if (words.includes("dubious ownership")) {
    return new BangerError("permission_denied", `the repository of ${path} belongs to somebody else`, {
      cure: `if you trust it: git config --global --add safe.directory ${path}`,
      details,
    });
  }
  if (/not a git repository/i.test(words)) {
    return new BangerError("failed_precondition", `${path} is in no git repository`, {
      cure: `make one of it: git -C ${dirname(`${path}/x`)} init; or copy it as it is with: banger cp`,
      details,
    });
  }
  return new BangerError("failed_precondition", `git cannot read the repository of ${path}: ${words}`, {
    details,
  });
}

function notAWorkTree(path: string, bare: boolean): BangerError {
  const what = bare ? "is a bare repository, without a work tree" : "is not in a work tree, but in a .git";
  return new BangerError("failed_precondition", `${path} ${what}`, {
    cure: "name the directory of a work tree, such as one made with: git worktree add",
    details: { path },
  });
}

function partialClone(top: string): BangerError {
  return new BangerError("unsupported", `${top} is a partial clone: some of its objects are elsewhere`, {
    cure: "make a full one: git clone; or fetch the rest with: git fetch --refetch --no-filter, and unset its filter",
    details: { path: top },
  });
}
