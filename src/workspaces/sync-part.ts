/** `sync` of one repository: what would be sent and what stands against it, and the sending. */
import { mkdirSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { WorkspaceRecord } from "../model/workspace.ts";
import { ownFiles } from "./apart.ts";
import { archiveWorkspace, type PackedFile } from "./archive.ts";
import { findChanges } from "./changes.ts";
import { findFiltered } from "./filtered.ts";
import type { WorkspaceView } from "./guest-state.ts";
import { readManifest, type SentFile, writeManifest } from "./manifest.ts";
import { EMPTY, shown } from "./names.ts";
import { packObjects, stagedObjects, staleFiles } from "./packs.ts";
import type { PlannedFile } from "./plan.ts";
import { packedRefs } from "./refs.ts";
import { findSame } from "./same.ts";
import type { ScannedFile } from "./scan.ts";
import { arrivalTree, type StagedPart } from "./stage.ts";
import { gitOf, type SurveyedPart } from "./survey.ts";
import { type IndexPlan, planIndex } from "./sync-index.ts";
import { planRefs, type RefPlan, readSentRefs } from "./sync-refs.ts";

/** A repository on both sides. */
export interface SyncUnit {
  readonly view: WorkspaceView;
  readonly part: SurveyedPart;
  /** Everything of the guest's copy. */
  readonly scanned: readonly ScannedFile[];
  /** Empty, and the caller's to remove. */
  readonly directory: string;
  readonly force: boolean;
  readonly signal: AbortSignal;
}

export interface SyncPlan {
  readonly unit: SyncUnit;
  /** What both sides have changed, for people. */
  readonly conflicts: readonly string[];
  readonly notes: readonly string[];
  readonly part: StagedPart;
  readonly sent: readonly SentFile[];
  readonly fresh: readonly PlannedFile[];
  readonly gone: readonly Buffer[];
  /** Names (latin1) of what is the same on both sides. */
  readonly same: ReadonlySet<string>;
  readonly refs: RefPlan;
  readonly index: IndexPlan;
}

export interface SyncedPart {
  readonly record: WorkspaceRecord;
  readonly files: number;
  readonly removed: number;
  readonly bytes: number;
}

/** Nothing is changed on either side. */
export async function planPart(unit: SyncUnit): Promise<SyncPlan> {
  const { view, part: surveyed, scanned, directory, force, signal } = unit;
  const git = gitOf(surveyed.repository, signal);
  const stale = await staleFiles(git);
  const filtered = await findFiltered(git, surveyed.plan.files, { stale, top: surveyed.repository.top });
  const part: StagedPart = { ...surveyed, prefix: EMPTY, stale, stored: filtered.stored, packs: [] };
  const sent = readManifest(view.places.manifest);
  const known = new Map(sent.map((file) => [file.name.toString("latin1"), file]));
  const fresh = part.plan.files.filter((file) => !isSent(file, known.get(file.name.toString("latin1"))));
  const gone = goneFiles(part, sent);
  const changes = findChanges(ownFiles(scanned, view.apart), sent);
  const refs = await planRefs(view, { part, scanned, force, signal });
  const index = await planIndex(view, { part, scanned, sent, refs, force });
  const done = new Set(
    [...changes.changed, ...changes.added, ...changes.gone].map((name) => name.toString("latin1")),
  );
  const clashing = [...fresh.map(({ name }) => name), ...gone].filter((name) =>
    done.has(name.toString("latin1")),
  );
  const same = await findSame(view, { names: clashing, part, fresh, directory, signal });
  const files = clashing.filter((name) => !same.has(name.toString("latin1"))).map(shown);
  const conflicts = [...files, ...refs.conflicts, ...index.conflicts];
  const notes = [...filtered.notes, ...refs.notes];
  return { unit, conflicts, notes, part, sent, fresh, gone, same, refs, index };
}

/** What is kept of the repository is written when everything is there; the record is the caller's to keep. */
export async function sendPart(plan: SyncPlan, onStep: (step: string) => void): Promise<SyncedPart> {
  const { unit, part, sent, fresh, gone, same, refs, index } = plan;
  const { view, scanned, directory, signal } = unit;
  const { record, guest, places } = view;
  const packs = join(directory, "packs");
  mkdirSync(packs);
  const git = gitOf(part.repository, signal);
  const without = [...readSentRefs(places).values(), ...(record.head === undefined ? [] : [record.head])];
  const isHistoryNew = refs.files.length > 0 || index.pieces !== undefined;
  const staged = isHistoryNew ? await stagedObjects(git, part.plan.index, part.refs.head) : [];
  const packed = isHistoryNew
    ? await packObjects({ signal, gitDir: places.shadow }, packs, {
        refs: part.refs,
        staged,
        without: [...new Set(without)],
      })
    : [];
  const sending = fresh.filter(({ name }) => !same.has(name.toString("latin1")));
  const went: PackedFile[] = [];
  let bytes = 0;
  onStep("workspace:sync");
  if (sending.length + packed.length + refs.files.length > 0) {
    const partial = { ...part, packs: packed, plan: { ...part.plan, files: sending } };
    const archive = archiveWorkspace(
      { parts: [partial] },
      {
        root: `${record.guestPath.slice(1)}/`,
        readonly: record.readonly,
        signal,
        onFile: (file) => void went.push(file),
        update: refs.files,
      },
    );
    bytes += await guest.unpack("/", archive);
  }
  if (index.pieces !== undefined && index.found !== undefined) {
    bytes += await guest.splice(`${record.guestPath}/.git/index`, index.found, index.pieces);
  }
  const removing = gone.filter((name) => !same.has(name.toString("latin1")));
  const { removed, timeNs } = await guest.remove(record.guestPath, removalOrder(removing));
  bytes += removing.reduce((sum, name) => sum + name.length + 1, 0);
  const tree = await arrivalTree(part, places.shadow, signal);
  const known = new Map(sent.map((file) => [file.name.toString("latin1"), file]));
  for (const key of gone) known.delete(key.toString("latin1"));
  for (const file of went) known.set(file.name.toString("latin1"), { ...file, arrivedNs: timeNs });
  for (const file of sameFiles(plan, scanned)) {
    known.set(file.name.toString("latin1"), { ...file, arrivedNs: timeNs });
  }
  onStep("workspace:manifest");
  writeManifest(places.manifest, known.values());
  await writeFile(places.refs, packedRefs(part.refs.all), { mode: 0o600 });
  if (index.bytes !== undefined) await writeFile(places.index, index.bytes, { mode: 0o600 });
  const { head, branch } = part.refs;
  return {
    record: { ...record, head, tree, branch: record.ownBranch ? record.branch : branch },
    files: went.length,
    removed: Math.min(removed, removing.length),
    bytes,
  };
}

/** What is the same on both sides counts as sent, as the guest has it. */
function sameFiles({ fresh, same }: SyncPlan, scanned: readonly ScannedFile[]): PackedFile[] {
  if (same.size === 0) return [];
  const inGuest = new Map(scanned.map((file) => [file.name.toString("latin1"), file]));
  return fresh.flatMap(({ name, kind, executable, disk }) => {
    const key = name.toString("latin1");
    const there = inGuest.get(key);
    if (!same.has(key) || there === undefined) return [];
    return [{ name, kind, executable, disk, size: there.size, mtimeNs: there.mtimeNs }];
  });
}

/** Whether the guest has a file as it is on disk now. */
function isSent({ disk, kind, executable }: PlannedFile, sent: SentFile | undefined): boolean {
  const before = sent?.disk;
  if (disk === undefined || before === undefined || sent?.kind !== kind || sent.executable !== executable)
    return false;
  return (
    disk.size === before.size &&
    disk.mtimeNs === before.mtimeNs &&
    disk.ctimeNs === before.ctimeNs &&
    disk.inode === before.inode
  );
}

/** What was sent and does not travel any more; submodules are left alone. */
function goneFiles({ plan }: StagedPart, sent: readonly SentFile[]): Buffer[] {
  const there = new Set(plan.files.map(({ name }) => name.toString("latin1")));
  const prefixes = plan.submodules.map((name) => `${name.toString("latin1")}/`);
  return sent
    .map(({ name }) => name)
    .filter((name) => {
      const key = name.toString("latin1");
      return !there.has(key) && !prefixes.some((prefix) => key.startsWith(prefix));
    });
}

/** Files, then the directories that they may have been the last in. Something is always asked for: the answer tells the time. */
function removalOrder(names: readonly Buffer[]): Buffer[] {
  const directories = new Set<string>();
  for (const name of names) {
    const key = name.toString("latin1");
    for (let at = key.lastIndexOf("/"); at > 0; at = key.lastIndexOf("/", at - 1))
      directories.add(key.slice(0, at));
  }
  const deepest = [...directories]
    .toSorted((a, b) => b.length - a.length)
    .map((key) => Buffer.from(key, "latin1"));
  return [...names, ...deepest, NOTHING];
}

const NOTHING = Buffer.from(".git/banger-nothing");
