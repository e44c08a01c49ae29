/** `sync`: what is new on the host goes into the guest's copy. What was done in the guest is not overwritten unless that is asked for. */
import { mkdirSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryName } from "../lib/publish.ts";
import { BangerError } from "../model/errors.ts";
import type { WorkspaceRecord } from "../model/workspace.ts";
import { archiveWorkspace, type PackedFile } from "./archive.ts";
import { findChanges } from "./changes.ts";
import { findFiltered } from "./filtered.ts";
import type { WorkspaceView } from "./guest-state.ts";
import { readManifest, type SentFile, writeManifest } from "./manifest.ts";
import { shown } from "./names.ts";
import { packObjects, stagedObjects, staleFiles } from "./packs.ts";
import type { PlannedFile } from "./plan.ts";
import { packedRefs } from "./refs.ts";
import { findSame } from "./same.ts";
import { arrivalTree, type StagedPart } from "./stage.ts";
import { submoduleNotes } from "./submodules.ts";
import { gitOf, type Survey, surveyWorkspace } from "./survey.ts";
import { planIndex } from "./sync-index.ts";
import { planRefs, readSentRefs } from "./sync-refs.ts";

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

/** Errors: `conflict` (both sides changed the same, which is named; nothing is sent then), those of an import. */
export async function syncWorkspace(view: WorkspaceView, options: SyncOptions): Promise<Synced> {
  const { record, places } = view;
  const { signal } = options;
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
    return await sync(view, { ...options, survey, directory });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

async function sync(
  view: WorkspaceView,
  options: SyncOptions & { readonly survey: Survey; readonly directory: string },
): Promise<Synced> {
  const { record, guest, places } = view;
  const { survey, directory, signal, force, onStep } = options;
  const [first] = survey.parts;
  if (first === undefined) throw new Error("a workspace without a repository");
  const git = gitOf(first.repository, signal);
  const stale = await staleFiles(git);
  const filtered = await findFiltered(git, first.plan.files, { stale, top: first.repository.top });
  const part: StagedPart = { ...first, stale, stored: filtered.stored, packs: [] };
  const sent = readManifest(places.manifest);
  const known = new Map(sent.map((file) => [file.name.toString("latin1"), file]));
  const fresh = part.plan.files.filter((file) => !isSent(file, known.get(file.name.toString("latin1"))));
  const gone = goneFiles(part, survey, sent);
  const scanned = await guest.scan(record.guestPath);
  const changes = findChanges(scanned, sent);
  const refs = await planRefs(view, { part, scanned, force, signal });
  const index = await planIndex(view, { part, scanned, sent, refs, force });
  const done = new Set(
    [...changes.changed, ...changes.added, ...changes.gone].map((name) => name.toString("latin1")),
  );
  const clashing = [...fresh.map(({ name }) => name), ...gone].filter((name) =>
    done.has(name.toString("latin1")),
  );
  const same = await findSame(view, { names: clashing, part, fresh, directory, signal });
  const conflicts = clashing.filter((name) => !same.has(name.toString("latin1"))).map(shown);
  if (!force && conflicts.length + refs.conflicts.length + index.conflicts.length > 0) {
    throw conflict([...conflicts, ...refs.conflicts, ...index.conflicts]);
  }
  const packs = join(directory, "packs");
  mkdirSync(packs);
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
      { parts: [partial], tree: "", shadow: "", notes: [] },
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
  for (const key of gone) known.delete(key.toString("latin1"));
  for (const file of went) known.set(file.name.toString("latin1"), { ...file, arrivedNs: timeNs });
  const inGuest = new Map(same.size === 0 ? [] : scanned.map((file) => [file.name.toString("latin1"), file]));
  for (const file of fresh) {
    const key = file.name.toString("latin1");
    const there = inGuest.get(key);
    // What is the same on both sides counts as sent, as the guest has it.
    if (same.has(key) && there !== undefined) {
      const { name, kind, executable, disk } = file;
      known.set(key, {
        name,
        kind,
        executable,
        disk,
        size: there.size,
        mtimeNs: there.mtimeNs,
        arrivedNs: timeNs,
      });
    }
  }
  onStep("workspace:manifest");
  writeManifest(places.manifest, known.values());
  await writeFile(places.refs, packedRefs(part.refs.all), { mode: 0o600 });
  if (index.bytes !== undefined) await writeFile(places.index, index.bytes, { mode: 0o600 });
  const { head, branch } = part.refs;
  return {
    record: { ...record, head, tree, branch: record.ownBranch ? record.branch : branch, sentAt: 0 },
    files: went.length,
    removed: Math.min(removed, removing.length),
    bytes,
    notes: [...survey.notes, ...filtered.notes, ...refs.notes, ...submoduleNotes(survey)],
  };
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
function goneFiles(part: StagedPart, survey: Survey, sent: readonly SentFile[]): Buffer[] {
  const there = new Set(part.plan.files.map(({ name }) => name.toString("latin1")));
  const prefixes = [
    ...part.plan.submodules.map((name) => `${name.toString("latin1")}/`),
    ...survey.parts.slice(1).map(({ prefix }) => prefix.toString("latin1")),
  ];
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
