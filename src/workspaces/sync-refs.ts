/** The references that a sync brings: those that moved on the host since they were sent. */
import { readFileSync } from "node:fs";
import type { SmallFile } from "./dot-git.ts";
import { readGuestRefs } from "./guest-refs.ts";
import type { WorkspaceView } from "./guest-state.ts";
import type { WorkspacePlaces } from "./places.ts";
import type { ScannedFile } from "./scan.ts";
import type { StagedPart } from "./stage.ts";

export interface RefPlan {
  /** Files of `.git` to write. */
  readonly files: readonly SmallFile[];
  readonly conflicts: readonly string[];
  readonly notes: readonly string[];
  /** What is checked out on the host is another commit, or another branch, than was sent. */
  readonly headMoved: boolean;
}

export interface RefPlanOptions {
  readonly part: StagedPart;
  readonly scanned: readonly ScannedFile[];
  readonly force: boolean;
  readonly signal: AbortSignal;
}

export async function planRefs(
  view: WorkspaceView,
  { part, scanned, force }: RefPlanOptions,
): Promise<RefPlan> {
  const { record, places } = view;
  const { refs } = part;
  const sent = readSentRefs(places);
  const branch = record.ownBranch ? record.branch : refs.branch;
  const wanted = new Map(
    refs.all.flatMap(({ name, oid, symbolic }) => (symbolic === undefined ? [[name, oid] as const] : [])),
  );
  if (record.ownBranch && branch !== undefined && refs.head !== undefined) wanted.set(branch, refs.head);
  const headMoved = refs.head !== record.head || branch !== record.branch;
  const moved = [...wanted].filter(
    ([name, oid]) => sent.get(name) !== oid && !(name === branch && !headMoved),
  );
  if (moved.length === 0 && !headMoved) return { files: [], conflicts: [], notes: [], headMoved };
  const guest = await readGuestRefs(view, { scanned });
  const [files, conflicts, notes]: [SmallFile[], string[], string[]] = [[], [], []];
  const file = (name: string, text: string): void =>
    void files.push({ name, content: Buffer.from(`${text}\n`, "latin1") });
  for (const [name, oid] of moved) {
    const there = guest.refs.get(name);
    const before = name === record.branch ? record.head : sent.get(name);
    if (there === oid) continue;
    if (force || there === before) file(name, oid);
    else if (name === branch) conflicts.push(name.replace("refs/heads/", "the branch "));
    else notes.push(`${name}: it was changed in the guest, and stays`);
  }
  const head = branch === undefined ? (refs.head ?? "") : `ref: ${branch}`;
  const isThere = branch === undefined ? guest.head?.oid === refs.head : guest.head?.branch === branch;
  const isAsSent =
    record.branch === undefined ? guest.head?.oid === record.head : guest.head?.branch === record.branch;
  if (headMoved && !isThere) {
    if (isAsSent || force) file("HEAD", head);
    else conflicts.push("what is checked out");
  }
  return { files, conflicts, notes, headMoved };
}

/** Names to objects, as they were sent last. */
export function readSentRefs(places: WorkspacePlaces): Map<string, string> {
  const lines = readFileSync(places.refs, "latin1").split("\n");
  return new Map(
    lines.flatMap((line) => {
      const [, oid, name] = /^([0-9a-f]{40,64}) (.+)$/.exec(line) ?? [];
      return oid === undefined || name === undefined ? [] : [[name, oid] as const];
    }),
  );
}
