/** The index that a sync brings, when what the host has in its own is not what was sent. */
import { readFileSync } from "node:fs";
import { TarReader } from "../lib/tar/reader.ts";
import { BangerError } from "../model/errors.ts";
import { statOf } from "./archive.ts";
import type { WorkspaceView } from "./guest-state.ts";
import { encodeIndex, type IndexStat } from "./index-file.ts";
import { isSameIndex, parseIndex, type RawEntry } from "./index-parse.ts";
import { spliceIndex } from "./index-splice.ts";
import type { SentFile } from "./manifest.ts";
import type { ScannedFile } from "./scan.ts";
import type { StagedPart } from "./stage.ts";
import type { RefPlan } from "./sync-refs.ts";

export interface IndexPlan {
  /** What makes the guest's index the new one; undefined: it stays. */
  readonly pieces?: Buffer;
  readonly found?: ScannedFile;
  /** The new one, to compare with at the next time. */
  readonly bytes?: Buffer;
  readonly conflicts: readonly string[];
}

export interface IndexPlanOptions {
  readonly part: StagedPart;
  readonly scanned: readonly ScannedFile[];
  readonly sent: readonly SentFile[];
  readonly refs: RefPlan;
  readonly force: boolean;
}

const NAME = Buffer.from(".git/index");
const LOCK = Buffer.from(".git/index.lock");
const MAX_INDEX = 512 * 2 ** 20;

export async function planIndex(view: WorkspaceView, options: IndexPlanOptions): Promise<IndexPlan> {
  const { part, scanned, sent } = options;
  const { format } = part.repository;
  const last = demand(readFileSync(view.places.index), format);
  const wanted = wantedIndex(part, sent);
  const wantedEntries = demand(wanted, format);
  if (isSameIndex(last, wantedEntries)) return { conflicts: [] };
  const found = scanned.find(({ name, kind }) => kind === "file" && name.equals(NAME));
  if (found === undefined) return { conflicts: ["the index of git (it is gone)"] };
  if (scanned.some(({ name }) => name.equals(LOCK))) {
    throw new BangerError("conflict", "a git is at work in the guest's workspace", {
      cure: "wait until it has ended",
    });
  }
  const bytes = await readIndex(view);
  const entries = parseIndex(bytes, format);
  const isAsSent =
    entries !== undefined && (isSameIndex(entries, last) || isSameIndex(entries, wantedEntries));
  const spliced = spliceIndex(
    { bytes, entries: entries ?? [] },
    { bytes: wanted, entries: wantedEntries },
    format,
  );
  const conflicts = isAsSent ? [] : ["what is staged or committed"];
  return { pieces: spliced.pieces, found, bytes: wanted, conflicts };
}

/** Entries are vouched for by what was sent before: a file that goes now is looked at by the guest's git. */
function wantedIndex(part: StagedPart, sent: readonly SentFile[]): Buffer {
  const known = new Map<string, IndexStat>(sent.map((file) => [file.name.toString("latin1"), file]));
  const onDisk = new Map(part.plan.files.map((file) => [file.name.toString("latin1"), file]));
  for (const [key, { disk }] of onDisk) {
    if (disk !== undefined && !part.stored.has(key))
      known.set(key, { size: disk.size, mtimeNs: disk.mtimeNs });
  }
  return encodeIndex(part.plan.index, (entry) => statOf(part, entry, known), part.repository.format);
}

async function readIndex({ guest, record }: WorkspaceView): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let left = MAX_INDEX;
  for await (const archive of guest.pick(record.guestPath, [NAME])) {
    const reader = new TarReader(archive);
    while ((await reader.next()) !== undefined) {
      for (let piece = await reader.content(); piece !== undefined; piece = await reader.content()) {
        left -= piece.length;
        if (left < 0)
          throw new BangerError("resource_exhausted", "the index of the guest's git is too large");
        pieces.push(Buffer.from(piece));
      }
    }
  }
  return Buffer.concat(pieces);
}

function demand(bytes: Buffer, format: "sha1" | "sha256"): RawEntry[] {
  const entries = parseIndex(bytes, format);
  if (entries !== undefined) return entries;
  throw new BangerError(
    "failed_precondition",
    "what was sent of the workspace's index is not known any more",
    {
      cure: "take the work out with: banger workspace export; then make the VM anew",
    },
  );
}
