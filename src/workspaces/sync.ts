/** `sync`: what is new on the host goes into the guest's copy. What was done in the guest is not overwritten unless that is asked for. */
import { mkdirSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { temporaryName } from "../lib/publish.ts";
import { removeTree } from "../lib/remove-tree.ts";
import { BangerError } from "../model/errors.ts";
import type { SubmoduleRecord, WorkspaceRecord } from "../model/workspace.ts";
import { filesBelow, hasRepository } from "./apart.ts";
import type { WorkspaceView } from "./guest-state.ts";
import { namePath, submodulesOf } from "./submodules.ts";
import { type Survey, type SurveyedPart, surveyWorkspace } from "./survey.ts";
import { planPart, type SyncedPart, type SyncPlan, type SyncUnit, sendPart } from "./sync-part.ts";

export interface SyncOptions {
  readonly signal: AbortSignal;
  readonly force: boolean;
  readonly onStep: (step: string) => void;
}

export interface Synced {
  readonly record: WorkspaceRecord;
  /** Files that were sent, and that were removed. */
  readonly files: number;
  readonly removed: number;
  /** Everything that went to the guest. */
  readonly bytes: number;
  readonly notes: readonly string[];
}

/**
 * The repository and its submodules, the inner before the outer. Errors: `conflict` (both sides changed the same, which is named; nothing
 * is sent then), those of an import.
 */
export async function syncWorkspace(view: WorkspaceView, options: SyncOptions): Promise<Synced> {
  const { record, places } = view;
  const { signal, force, onStep } = options;
  if (record.ofRevision) throw ofRevision(record);
  const survey = await surveyWorkspace(
    {
      path: record.hostPath,
      guestPath: record.guestPath,
      includeUntracked: record.includeUntracked,
      depth: record.depth,
      readonly: record.readonly,
    },
    signal,
  );
  const directory = join(places.directory, temporaryName());
  await mkdir(directory, { mode: 0o700 });
  try {
    const { units, notes } = await pairUp(view, { survey, directory, force, signal });
    const plans: (readonly [string, SyncPlan])[] = [];
    for (const [path, unit] of units) plans.push([path, await planPart(unit)]);
    const conflicts = plans.flatMap(([path, plan]) => prefixed(path, plan.conflicts));
    if (!force && conflicts.length > 0) throw conflict(conflicts);
    const sent = new Map<string, SyncedPart>();
    for (const [path, plan] of plans.toReversed()) sent.set(path, await sendPart(plan, onStep));
    const parts = [...sent.values()];
    const submodules = record.submodules?.map((known): SubmoduleRecord => {
      const { head, tree, branch } = sent.get(known.path)?.record ?? known;
      return { path: known.path, head, tree, branch };
    });
    return {
      record: { ...record, ...sent.get(TOP)?.record, submodules, sentAt: 0 },
      files: parts.reduce((sum, { files }) => sum + files, 0),
      removed: parts.reduce((sum, { removed }) => sum + removed, 0),
      bytes: parts.reduce((sum, { bytes }) => sum + bytes, 0),
      notes: [...survey.notes, ...plans.flatMap(([path, plan]) => prefixed(path, plan.notes)), ...notes],
    };
  } finally {
    await removeTree(directory);
  }
}

/** The path of the repository that the others are submodules of. */
const TOP = "";

interface PairOptions {
  readonly survey: Survey;
  readonly directory: string;
  readonly force: boolean;
  readonly signal: AbortSignal;
}

/** What is there on both sides, by path, the outer before the inner; and what is not, for people. */
async function pairUp(
  view: WorkspaceView,
  { survey, directory, force, signal }: PairOptions,
): Promise<{ units: readonly (readonly [string, SyncUnit])[]; notes: readonly string[] }> {
  const scanned = await view.guest.scan(view.record.guestPath);
  const units: (readonly [string, SyncUnit])[] = [];
  const notes: string[] = [];
  const pair = (path: string, its: WorkspaceView, part: SurveyedPart): void => {
    const aside = join(directory, String(units.length));
    mkdirSync(aside, { mode: 0o700 });
    const inside = path === TOP ? scanned : filesBelow(scanned, path);
    units.push([path, { view: its, part, scanned: inside, directory: aside, force, signal }]);
  };
  const here = new Map(survey.parts.map((part) => [part.prefix.toString().slice(0, -1), part]));
  const top = here.get(TOP);
  if (top !== undefined) pair(TOP, view, top);
  here.delete(TOP);
  for (const { path, view: its } of submodulesOf(view)) {
    const part = here.get(path);
    here.delete(path);
    if (part === undefined)
      notes.push(`${namePath(path)}: no repository here any more; the guest's copy stays`);
    else if (hasRepository(filesBelow(scanned, path))) pair(path, its, part);
    else notes.push(`${namePath(path)}: no repository in the guest any more, and nothing of it is sent`);
  }
  for (const path of here.keys()) notes.push(newHere(path));
  return { units, notes };
}

function newHere(path: string): string {
  return `${namePath(path)}: this submodule did not travel with the workspace, and nothing of it is sent; a new VM has it`;
}

/** Names of a submodule, as they are below the top. */
function prefixed(path: string, texts: readonly string[]): readonly string[] {
  return path === TOP ? texts : texts.map((text) => `${namePath(path)}: ${text}`);
}

function conflict(names: readonly string[]): BangerError {
  const listed = names.slice(0, 10).join(", ");
  const more = names.length > 10 ? ` and ${names.length - 10} more` : "";
  return new BangerError("conflict", `changed on the host and in the guest: ${listed}${more}`, {
    cure: "take the guest's work out first, with banger workspace export or pull; or overwrite it with --force",
    details: { names: names.slice(0, 100) },
  });
}

function ofRevision({ hostPath }: WorkspaceRecord): BangerError {
  return new BangerError(
    "failed_precondition",
    `the workspace is of a revision of ${hostPath}, not of what is on disk`,
    {
      cure: "make another VM from the work tree: banger run PATH",
    },
  );
}
