/** What of a work tree would travel: what git tracks, as it is on disk now, and on request what it does not track. */
import { type BigIntStats, lstatSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { BangerError } from "../model/errors.ts";
import { type GitOptions, gitRecords } from "./git.ts";
import { demandName, EMPTY, isBelowLink, pathOf } from "./names.ts";
import type { Repository } from "./repository.ts";

/** Of one work tree. */
export const MAX_FILES = 2_000_000;
/** Files looked at before others get their turn. */
const SLICE = 512;

/** An entry of git's index. */
export interface IndexEntry {
  readonly name: Buffer;
  readonly mode: number;
  readonly oid: string;
  /** Left out of the work tree by a sparse checkout. */
  readonly skipped: boolean;
}

/** What is on disk, as far as a change would show. */
export interface DiskState {
  readonly kind: "file" | "symlink";
  readonly executable: boolean;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  readonly inode: bigint;
}

/** A file that would travel. */
export interface PlannedFile {
  readonly name: Buffer;
  readonly entry: IndexEntry | undefined;
  readonly kind: "file" | "symlink";
  readonly executable: boolean;
  /** As it is there; undefined: it travels as git has stored it. */
  readonly disk: DiskState | undefined;
}

export interface Plan {
  readonly index: readonly IndexEntry[];
  readonly files: readonly PlannedFile[];
  /** Directories of submodules, below the top. */
  readonly submodules: readonly Buffer[];
  readonly bytes: number;
  /** What does not travel, for people. */
  readonly notes: readonly string[];
}

export interface PlanOptions {
  readonly git: GitOptions;
  readonly includeUntracked: boolean;
}

/** Errors: `failed_precondition` (conflicts that are not resolved), `resource_exhausted`, `invalid_argument` (names that no work tree can have). */
export async function planFiles(repository: Repository, options: PlanOptions): Promise<Plan> {
  const { top } = repository;
  const index = await readIndex(options.git, top);
  const untracked = options.includeUntracked ? await readUntracked(repository, options.git) : [];
  const tracked = index.filter(({ mode, skipped }) => !skipped && mode !== GITLINK);
  const wanted = [
    ...tracked.map((entry) => ({ name: entry.name, entry })),
    ...untracked.map((name) => ({ name, entry: undefined })),
  ];
  const notes: string[] = [];
  const files: PlannedFile[] = [];
  const links = new Map<string, boolean>();
  let bytes = 0;
  for (const [at, { name, entry }] of wanted.entries()) {
    if (at % SLICE === SLICE - 1) await breathe(options.git.signal);
    const state = isBelowLink(top, name, links) ? undefined : stateOf(pathOf(top, name));
    if (state === "other") notes.push(`${name.toString()}: it is no file, and stays`);
    if (state === undefined || state === "other") continue;
    const executable = repository.settings.fileMode ? state.executable : entry?.mode === 0o100755;
    files.push({ name, entry, kind: state.kind, executable, disk: state });
    bytes += state.size;
  }
  const submodules = index.filter(({ mode }) => mode === GITLINK).map(({ name }) => name);
  return { index, files, submodules, bytes, notes };
}

/** The same of a revision: nothing of it is on disk. */
export async function planRevision(git: GitOptions, commit: string, top: string): Promise<Plan> {
  const index: IndexEntry[] = [];
  for await (const record of gitRecords(["ls-tree", "-z", "-r", "--full-tree", commit], git)) {
    const tab = record.indexOf(0x09);
    const [mode = "", , oid = ""] = record.toString("latin1", 0, tab).split(" ");
    if (index.length >= MAX_FILES) throw tooMany(top);
    const name = demandName(Buffer.from(record.subarray(tab + 1)), top);
    index.push({ name, mode: Number.parseInt(mode, 8), oid, skipped: false });
  }
  const files = index
    .filter(({ mode }) => mode !== GITLINK)
    .map((entry): PlannedFile => {
      const kind = entry.mode === 0o120000 ? "symlink" : "file";
      return { name: entry.name, entry, kind, executable: entry.mode === 0o100755, disk: undefined };
    });
  return { index, files, submodules: [], bytes: 0, notes: [] };
}

export const GITLINK = 0o160000;

/** What is at a path now; undefined: nothing. */
export function stateOf(path: Buffer): DiskState | "other" | undefined {
  const status = lstatSync(path, { bigint: true, throwIfNoEntry: false });
  return status === undefined || status.isDirectory() ? undefined : describe(status);
}

export function describe(status: BigIntStats): DiskState | "other" {
  const isFile = status.isFile();
  if (!isFile && !status.isSymbolicLink()) return "other";
  return {
    kind: isFile ? "file" : "symlink",
    executable: isFile && (Number(status.mode) & 0o100) !== 0,
    size: Number(status.size),
    mtimeNs: status.mtimeNs,
    ctimeNs: status.ctimeNs,
    inode: status.ino,
  };
}

/** What git has in its index, sorted by name. */
async function readIndex(git: GitOptions, top: string): Promise<IndexEntry[]> {
  const entries: IndexEntry[] = [];
  for await (const record of gitRecords(["ls-files", "-z", "-s", "-t"], git)) {
    const tab = record.indexOf(0x09);
    const [tag, mode = "", oid = "", stage] = record.toString("latin1", 0, tab).split(" ");
    if (stage !== "0") throw conflicts(top);
    if (entries.length >= MAX_FILES) throw tooMany(top);
    const name = demandName(Buffer.from(record.subarray(tab + 1)), top);
    entries.push({ name, mode: Number.parseInt(mode, 8), oid, skipped: tag === "S" });
  }
  return entries;
}

async function readUntracked({ top, settings }: Repository, git: GitOptions): Promise<Buffer[]> {
  const names: Buffer[] = [];
  const config =
    settings.excludesFile === undefined ? [] : [["core.excludesFile", settings.excludesFile] as const];
  const listing = gitRecords(["ls-files", "-z", "--others", "--exclude-standard"], { ...git, config });
  for await (const record of listing) {
    if (names.length >= MAX_FILES) throw tooMany(top);
    // A repository of its own that git knows nothing of; it ends with a slash.
    if (record.at(-1) !== 0x2f) names.push(demandName(Buffer.from(record), top));
  }
  return names;
}

/** The text of a small file of the repository; empty when there is none. */
export function readOptional(directory: string, name: string): Buffer {
  const path = join(directory, name);
  const status = lstatSync(path, { throwIfNoEntry: false });
  return status?.isFile() === true && status.size <= 1024 * 1024 ? readFileSync(path) : EMPTY;
}

/** Lets others have their turn. */
export async function breathe(signal: AbortSignal): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
  signal.throwIfAborted();
}

function conflicts(top: string): BangerError {
  return new BangerError("failed_precondition", `${top} has conflicts that are not resolved`, {
    cure: "resolve them, and add the files; see: git status",
    details: { path: top },
  });
}

function tooMany(top: string): BangerError {
  return new BangerError("resource_exhausted", `${top} has more than ${MAX_FILES} files`, {
    cure: "name a smaller repository, or make a sparse checkout",
  });
}
