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

/** One whose later states can be told from this one. */
export interface KeptPart extends StagedPart {
  /** Everything that arrives, changes that were not committed included. */
  readonly tree: string;
  /** Directory of the repository that has this tree. */
  readonly shadow: string;
}

export interface Staged {
  readonly parts: readonly KeptPart[];
  readonly notes: readonly string[];
}

/** Fills `directory`, which exists and is empty. Errors: `failed_precondition` (git's own), `resource_exhausted`, `cancelled`. */
export async function stageWorkspace(
  survey: Survey,
  directory: string,
  signal: AbortSignal,
): Promise<Staged> {
  const notes: string[] = [...survey.notes];
  const parts: KeptPart[] = [];
  for (const [at, part] of survey.parts.entries()) {
    const [packs, shadow] = [join(directory, `packs-${at}`), join(directory, `shadow-${at}`)];
    for (const path of [packs, shadow]) mkdirSync(path);
    createShadow(shadow, part.repository);
    const git = gitOf(part.repository, signal);
    const pack = async (): Promise<PackFile[]> => {
      const staged = await stagedObjects(git, part.plan.index, part.refs.head);
      return await packObjects({ signal, gitDir: shadow }, packs, { refs: part.refs, staged });
    };
    const look = async (): Promise<KeptPart> => {
      const onDisk = part.plan.files.filter(({ disk }) => disk !== undefined);
      const stale = onDisk.length === 0 ? new Set<string>() : await staleFiles(git);
      const { stored, notes: said } = await findFiltered(git, onDisk, { stale, top: part.repository.top });
      notes.push(...said);
      const looked = { ...part, packs: [], stale, stored };
      return { ...looked, shadow, tree: await arrivalTree(looked, shadow, signal) };
    };
    // Both are waited for, whatever one of them says: nothing may write here once this has failed.
    const [packed, looked] = await Promise.allSettled([pack(), look()]);
    if (packed.status === "rejected") throw packed.reason;
    if (looked.status === "rejected") throw looked.reason;
    parts.push({ ...looked.value, packs: packed.value });
  }
  return { parts, notes };
}

/** Of everything that arrives, as git would store it. */
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
