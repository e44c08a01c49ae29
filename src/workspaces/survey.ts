/** What a copy would be made of, found out before anything is touched: the repository, its references, its files, its submodules. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { BangerError } from "../model/errors.ts";
import { guestPathFor, MAX_SUBMODULES, validateGuestPath, type WorkspaceWish } from "../model/workspace.ts";
import type { GitOptions } from "./git.ts";
import { EMPTY, pathOf, shown } from "./names.ts";
import { type Plan, planFiles, planRevision } from "./plan.ts";
import { collectRefs, type Refs } from "./refs.ts";
import { findRepository, type Repository } from "./repository.ts";

/** Submodules inside each other. */
const MAX_NESTING = 8;

/** One repository of a workspace: its own first, then those of submodules. */
export interface SurveyedPart {
  /** The directory of its work tree below the top, with a slash; empty for the first. */
  readonly prefix: Buffer;
  readonly repository: Repository;
  readonly refs: Refs;
  readonly plan: Plan;
}

export interface Survey {
  readonly parts: readonly SurveyedPart[];
  readonly guestPath: string;
  readonly wish: WorkspaceWish;
  readonly notes: readonly string[];
}

/** Errors: those of `findRepository`, `planFiles` and `collectRefs`; `cancelled`. Nothing is written. */
export async function surveyWorkspace(wish: WorkspaceWish, signal: AbortSignal): Promise<Survey> {
  if (wish.from !== undefined && wish.branch === undefined) {
    throw new BangerError(
      "invalid_argument",
      "--from is where a new branch starts, and no branch was named",
      {
        cure: "name it with --branch NAME",
        details: { field: "from" },
      },
    );
  }
  if (wish.guestPath !== undefined) validateGuestPath(wish.guestPath);
  const repository = await findRepository(wish.path, signal);
  const guestPath = wish.guestPath ?? guestPathFor(repository.top);
  const parts = [await surveyPart(repository, EMPTY, { wish, signal })];
  const notes: string[] = [];
  // It grows while it is walked: submodules of submodules.
  for (const part of parts) await surveySubmodules(part, { parts, notes, wish, signal });
  return {
    parts,
    guestPath,
    wish,
    notes: [...parts.flatMap(({ plan }) => plan.notes), ...notes],
  };
}

async function surveyPart(
  repository: Repository,
  prefix: Buffer,
  { wish, signal }: { readonly wish: WorkspaceWish; readonly signal: AbortSignal },
): Promise<SurveyedPart> {
  const git = gitOf(repository, signal);
  const isFirst = prefix.length === 0;
  const refs = await collectRefs(repository, git, isFirst ? wish : { depth: wish.depth });
  const plan =
    isFirst && wish.from !== undefined && refs.head !== undefined
      ? await planRevision(git, refs.head, repository.top)
      : await planFiles(repository, { git, includeUntracked: wish.includeUntracked ?? false });
  return { prefix, repository, refs, plan };
}

async function surveySubmodules(
  { prefix, repository, plan }: SurveyedPart,
  into: {
    readonly parts: SurveyedPart[];
    readonly notes: string[];
    readonly wish: WorkspaceWish;
    readonly signal: AbortSignal;
  },
): Promise<void> {
  for (const name of plan.submodules) {
    const path = pathOf(repository.top, name).toString();
    // One that nobody has fetched is an empty directory, in the copy as well.
    if (!existsSync(join(path, ".git"))) continue;
    const depth = into.parts.length;
    if (depth > MAX_SUBMODULES || prefix.toString("latin1").split("/").length > MAX_NESTING) {
      into.notes.push(`${shown(name)}: there are too many submodules, and it stays`);
      continue;
    }
    const below = await findRepository(path, into.signal);
    // Behind a link there may be anything, and tops are real paths.
    if (below.top !== path) {
      into.notes.push(`${shown(name)}: the repository of this submodule is elsewhere, and it stays`);
      continue;
    }
    const itsPrefix = Buffer.concat([prefix, name, Buffer.from("/")]);
    into.parts.push(await surveyPart(below, itsPrefix, into));
  }
}

/** How git is asked about a repository that was found. */
export function gitOf({ gitDir, top, settings }: Repository, signal: AbortSignal): GitOptions {
  return { signal, gitDir, workTree: top, config: settings.nothingRuns };
}
