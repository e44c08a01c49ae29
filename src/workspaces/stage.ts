/** What a copy needs beside the files themselves, made while the VM starts: packs, and the tree that it is compared with later. */
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { findFiltered } from "./filtered.ts";
import { type PackFile, packObjects, stagedObjects, staleFiles } from "./packs.ts";
import type { PlannedFile } from "./plan.ts";
import { createShadow, writeArrivalTree } from "./shadow.ts";
import { gitOf, type Survey, type SurveyedPart } from "./survey.ts";

export interface StagedPart extends SurveyedPart {
  readonly packs: readonly PackFile[];
  /** Names (latin1) of files that git's index takes for changed. */
  readonly stale: ReadonlySet<string>;
  /** Names (latin1) of files that travel as git has stored them. */
  readonly stored: ReadonlySet<string>;
}

export interface Staged {
  readonly parts: readonly StagedPart[];
  /** Of the first part: everything that arrives, changes that were not committed included. */
  readonly tree: string;
  /** Directory of the repository that has this tree. */
  readonly shadow: string;
  readonly notes: readonly string[];
}

/** Fills `directory`, which exists and is empty. Errors: `failed_precondition` (git's own), `resource_exhausted`, `cancelled`. */
export async function stageWorkspace(
  survey: Survey,
  directory: string,
  signal: AbortSignal,
): Promise<Staged> {
  const notes: string[] = [...survey.notes];
  const parts: StagedPart[] = [];
  for (const [at, part] of survey.parts.entries()) {
    const [packs, shadow] = [join(directory, `packs-${at}`), join(directory, `shadow-${at}`)];
    for (const path of [packs, shadow]) mkdirSync(path);
    createShadow(shadow, part.repository);
    const { staged, filterNotes } = await stagePart(part, { packs, shadow }, signal);
    parts.push(staged);
    notes.push(...filterNotes);
  }
  const [first] = parts;
  if (first === undefined) throw new Error("a workspace without a repository");
  const shadow = join(directory, "shadow-0");
  const tree = await arrivalTree(first, shadow, signal);
  return { parts, tree, shadow, notes };
}

async function stagePart(
  part: SurveyedPart,
  directories: { readonly packs: string; readonly shadow: string },
  signal: AbortSignal,
): Promise<{ staged: StagedPart; filterNotes: readonly string[] }> {
  const { repository, plan, refs } = part;
  const git = gitOf(repository, signal);
  const onDisk = plan.files.filter(({ disk }) => disk !== undefined);
  const stale = onDisk.length === 0 ? new Set<string>() : await staleFiles(git);
  const [packs, filtered] = await Promise.all([
    packObjects({ signal, gitDir: directories.shadow }, directories.packs, {
      refs,
      staged: await stagedObjects(git, plan.index, refs.head),
    }),
    findFiltered(git, onDisk, { stale, top: repository.top }),
  ]);
  return { staged: { ...part, packs, stale, stored: filtered.stored }, filterNotes: filtered.notes };
}

export async function arrivalTree(
  { repository, plan, stale, stored }: StagedPart,
  shadow: string,
  signal: AbortSignal,
): Promise<string> {
  const { conversion } = repository.settings;
  const there = new Set(plan.files.map(({ name }) => name.toString("latin1")));
  const isChanged = ({ name, entry }: PlannedFile): boolean => {
    const key = name.toString("latin1");
    return entry === undefined || (stale.has(key) && !stored.has(key));
  };
  const git = {
    signal,
    gitDir: shadow,
    config: [...conversion, ["core.fileMode", String(repository.settings.fileMode)] as const],
  };
  return await writeArrivalTree(git, plan.index, {
    changed: plan.files.filter(isChanged).map(({ name }) => name),
    gone: [...stale].filter((key) => !there.has(key)).map((key) => Buffer.from(key, "latin1")),
    workTree: repository.top,
  });
}
