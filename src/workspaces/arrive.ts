/** The arrival of a workspace in its VM. */
import { randomBytes } from "node:crypto";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { dirname } from "node:path";
import { syncTree } from "../lib/publish.ts";
import { removeTree } from "../lib/remove-tree.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import type { VmRecord } from "../model/vm.ts";
import type { WorkspaceRecord } from "../model/workspace.ts";
import { archiveWorkspace, type PackedFile } from "./archive.ts";
import { GuestTree } from "./guest-tree.ts";
import { type SentFile, writeManifest } from "./manifest.ts";
import type { WorkspacePlaces } from "./places.ts";
import { packedRefs } from "./refs.ts";
import type { KeptPart } from "./stage.ts";
import type { PreparedWorkspace, WorkspaceDeps } from "./workspaces.ts";

export interface Arrival {
  readonly vm: VmRecord;
  readonly prepared: PreparedWorkspace;
  readonly places: WorkspacePlaces;
}

interface Kept {
  readonly record: WorkspaceRecord;
  readonly sent: readonly SentPart[];
  readonly places: WorkspacePlaces;
}

interface SentPart {
  readonly part: KeptPart;
  readonly files: readonly SentFile[];
  readonly index: Buffer;
}

/**
 * Copies into a running VM, whose workspaces nobody else changes meanwhile: all of it under its final name, or nothing there. Errors:
 * those of `Workspaces.arrive`.
 */
export async function arriveWorkspace(
  deps: WorkspaceDeps,
  { vm, prepared, places }: Arrival,
  { onProgress, signal }: LongOptions,
): Promise<WorkspaceRecord> {
  const { survey } = prepared;
  const { guestPath, wish } = survey;
  const readonly = wish.readonly ?? false;
  if (deps.store.workspaces.byVm(vm.id) !== undefined) throw hasOne(vm);
  const from = performance.now();
  onProgress({ event: "begin", stage: "workspace" });
  const staged = await prepared.staged();
  for (const text of staged.notes) onProgress({ event: "note", text });
  const guest = new GuestTree(deps.guests, vm.id, signal);
  const { workspaces } = deps.store;
  const left = workspaces.unfinished(vm.id);
  if (left !== undefined) for (const path of [left.aside, left.guestPath]) await discard(guest, path);
  if (await guest.isThere(guestPath)) throw isTaken(vm, guestPath);
  const parent = dirname(guestPath);
  const aside = `${parent === "/" ? "" : parent}/.banger-workspace-${randomBytes(6).toString("hex")}`;
  const packed = staged.parts.map((): PackedFile[] => []);
  const indexes: Buffer[] = [];
  const archive = archiveWorkspace(staged, {
    root: `${aside.slice(1)}/`,
    readonly,
    signal,
    onFile: (file, part) => void packed[part]?.push(file),
    onIndex: (bytes, part) => {
      indexes[part] = bytes;
    },
  });
  deps.onStep("workspace:begin");
  workspaces.begin({ vm: vm.id, guestPath, aside });
  deps.onStep("workspace:send");
  let arrivedAt: bigint;
  let naming = false;
  try {
    await guest.unpack("/", archive);
    naming = true;
    deps.onStep("workspace:name");
    arrivedAt = await guest.rename(aside, guestPath);
  } catch (error) {
    const cleaner = new GuestTree(deps.guests, vm.id, AbortSignal.timeout(DISCARD_MS));
    await discard(cleaner, aside);
    // Whoever gave up while the guest named it does not know whether it has.
    if (naming && BangerError.from(error).code === "cancelled") await discard(cleaner, guestPath);
    // The VM may be gone, and its row with it.
    if (deps.store.vms.byId(vm.id) !== undefined) workspaces.remove(vm.id);
    throw error;
  }
  const [first, ...submodules] = staged.parts;
  const record: WorkspaceRecord = {
    vm: vm.id,
    hostPath: first?.repository.top ?? "",
    guestPath,
    head: first?.refs.head,
    tree: first?.tree ?? "",
    branch: first?.refs.branch,
    readonly,
    includeUntracked: wish.includeUntracked ?? false,
    depth: wish.depth,
    ownBranch: wish.branch !== undefined,
    ofRevision: wish.from !== undefined,
    arrivedAtNs: String(arrivedAt),
    sentAt: deps.now(),
    submodules: submodules.map(({ prefix, refs, tree }) => ({
      path: prefix.toString().slice(0, -1),
      head: refs.head,
      tree,
      branch: refs.branch,
    })),
  };
  const sent = staged.parts.map((part, number): SentPart => {
    const files = packed[number]?.map((file) => ({ ...file, arrivedNs: arrivedAt })) ?? [];
    return { part, files, index: indexes[number] ?? Buffer.alloc(0) };
  });
  await keep(deps, { record, sent, places });
  onProgress({ event: "end", stage: "workspace", ms: performance.now() - from });
  return record;
}

/** Everything is on disk before the record says so. */
async function keep(deps: WorkspaceDeps, { record, sent, places }: Kept): Promise<void> {
  deps.onStep("workspace:files");
  // What a daemon left that ended before it wrote the record.
  await removeTree(places.directory);
  for (const [number, { part, files, index }] of sent.entries()) {
    const its = number === 0 ? places : places.submodule(number - 1);
    await mkdir(its.directory, { mode: 0o700, recursive: true });
    await rename(part.shadow, its.shadow);
    writeManifest(its.manifest, files);
    await writeFile(its.index, index, { mode: 0o600 });
    await writeFile(its.refs, packedRefs(part.refs.all), { mode: 0o600 });
  }
  await syncTree(places.directory);
  deps.onStep("workspace:record");
  deps.store.workspaces.put(record);
  deps.onStep("workspace:done");
}

/** How long taking away what did not arrive may take; the guest's disk may be full, or its agent gone. */
const DISCARD_MS = 30_000;

/** Takes a tree away that nobody will use. What cannot be removed stays under its odd name: the first error is the one to tell. */
async function discard(guest: GuestTree, path: string): Promise<void> {
  try {
    const files = await guest.scan(path);
    // Names of what is in a directory stand behind it in this order.
    const names = files.map(({ name }) => name).toSorted((a, b) => Buffer.compare(b, a));
    await guest.remove(path, names);
    const parent = dirname(path);
    await guest.remove(parent, [Buffer.from(path.slice(parent === "/" ? 1 : parent.length + 1))]);
  } catch {
    // The guest is gone, or never got as far as making it.
  }
}

function hasOne({ name }: VmRecord): BangerError {
  return new BangerError("failed_precondition", `${name} has a workspace already`, {
    cure: `send what is new with: banger workspace sync ${name}; or make another VM with: banger run PATH`,
    details: { vm: name },
  });
}

function isTaken({ name }: VmRecord, path: string): BangerError {
  return new BangerError("failed_precondition", `${path} is there already in ${name}`, {
    cure: "choose another place with --guest-path, or remove it in the guest",
    details: { vm: name, path },
  });
}
