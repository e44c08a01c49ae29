/** Workspaces as one object: what the routes call. */
import { randomBytes } from "node:crypto";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { KeyedLock } from "../lib/keyed-lock.ts";
import { removeLeftovers, storageError, syncTree, temporaryName } from "../lib/publish.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import type { VmRecord } from "../model/vm.ts";
import type { WorkspaceRecord, WorkspaceWish } from "../model/workspace.ts";
import type { Store } from "../store/store.ts";
import { archiveWorkspace, type PackedFile } from "./archive.ts";
import { findDrift } from "./drift.ts";
import { type ExportOptions, exportPatch } from "./export.ts";
import { type GuestDoor, GuestTree } from "./guest-tree.ts";
import { type SentFile, writeManifest } from "./manifest.ts";
import { WorkspacePlaces } from "./places.ts";
import { type Preview, previewOf } from "./preview.ts";
import { type Pulled, pullCommits } from "./pull.ts";
import { packedRefs } from "./refs.ts";
import { type Staged, stageWorkspace } from "./stage.ts";
import { type Survey, surveyWorkspace } from "./survey.ts";
import { type Synced, syncWorkspace } from "./sync.ts";

export interface WorkspaceDeps {
  readonly store: Store;
  readonly guests: GuestDoor;
  readonly vmDir: (id: string) => string;
  /** Where things are made before their VM exists. */
  readonly directory: string;
  readonly now: () => number;
  readonly onStep: (step: string) => void;
}

export interface PullWish {
  /** Default: `banger/` and the VM's name. */
  readonly branch?: string | undefined;
  readonly force?: boolean | undefined;
}

/** A copy that waits for its VM. Disposing removes what was made for it on the host. */
export interface PreparedWorkspace extends AsyncDisposable {
  readonly survey: Survey;
  /** Made meanwhile; rejects with what went wrong. */
  readonly staged: Promise<Staged>;
  readonly directory: string;
}

export class Workspaces {
  readonly #deps: WorkspaceDeps;
  /** One a VM, for what changes what the host keeps of its workspace. */
  readonly #locks = new KeyedLock();

  constructor(deps: WorkspaceDeps) {
    this.#deps = deps;
  }

  /** Removes what a daemon that ended in the middle of something has left. */
  async sweep(): Promise<void> {
    await removeLeftovers(this.#deps.directory);
  }

  /** What would travel. Errors: those of `surveyWorkspace`. */
  async preview(wish: WorkspaceWish, signal: AbortSignal): Promise<Preview> {
    return previewOf(await surveyWorkspace(wish, signal));
  }

  /** Looks at everything before a VM is touched, and begins to pack. Errors: those of `surveyWorkspace`, `resource_exhausted`. */
  async prepare(wish: WorkspaceWish, signal: AbortSignal): Promise<PreparedWorkspace> {
    const survey = await surveyWorkspace(wish, signal);
    const directory = join(this.#deps.directory, temporaryName());
    this.#deps.onStep("workspace:stage");
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const giveUp = new AbortController();
    const staged = stageWorkspace(survey, directory, AbortSignal.any([signal, giveUp.signal])).catch(
      (error: unknown) => {
        throw storageError(error, directory);
      },
    );
    // Whoever waits for it comes later, or never.
    staged.catch(() => undefined);
    return {
      survey,
      staged,
      directory,
      [Symbol.asyncDispose]: async () => {
        giveUp.abort(new BangerError("cancelled", "the workspace is not wanted any more"));
        await staged.catch(() => undefined);
        await rm(directory, { recursive: true, force: true });
      },
    };
  }

  /** Errors: `failed_precondition` when there is none. */
  demand(vm: VmRecord): WorkspaceRecord {
    const record = this.#deps.store.workspaces.byVm(vm.id);
    if (record !== undefined) return record;
    throw new BangerError("failed_precondition", `${vm.name} has no workspace`, {
      cure: `bring one in with: banger workspace import ${vm.name} PATH`,
      details: { vm: vm.name },
    });
  }

  /**
   * Copies into a running VM: all of it under its final name, or nothing there. Errors: `failed_precondition` (the VM has a workspace,
   * something has the path), `conflict` (a file changed meanwhile), those of the guest, `cancelled`.
   */
  async arrive(vm: VmRecord, prepared: PreparedWorkspace, options: LongOptions): Promise<WorkspaceRecord> {
    return await this.#locks.hold(vm.id, async () => await this.#arrive(vm, prepared, options));
  }

  async #arrive(
    vm: VmRecord,
    prepared: PreparedWorkspace,
    { onProgress, signal }: LongOptions,
  ): Promise<WorkspaceRecord> {
    const { survey } = prepared;
    const { guestPath, wish } = survey;
    const readonly = wish.readonly ?? false;
    if (this.#deps.store.workspaces.byVm(vm.id) !== undefined) throw hasOne(vm);
    const from = performance.now();
    onProgress({ event: "begin", stage: "workspace" });
    const staged = await prepared.staged;
    for (const text of staged.notes) onProgress({ event: "note", text });
    const guest = new GuestTree(this.#deps.guests, vm.id, signal);
    const { workspaces } = this.#deps.store;
    const left = workspaces.unfinished(vm.id);
    if (left !== undefined) for (const path of [left.aside, left.guestPath]) await discard(guest, path);
    if (await guest.isThere(guestPath)) throw isTaken(vm, guestPath);
    const parent = dirname(guestPath);
    const aside = `${parent === "/" ? "" : parent}/.banger-workspace-${randomBytes(6).toString("hex")}`;
    const files: PackedFile[] = [];
    let index: Buffer = Buffer.alloc(0);
    const archive = archiveWorkspace(staged, {
      root: `${aside.slice(1)}/`,
      readonly,
      signal,
      onFile: (file) => void files.push(file),
      onIndex: (bytes) => {
        index = bytes;
      },
    });
    this.#deps.onStep("workspace:begin");
    workspaces.begin({ vm: vm.id, guestPath, aside });
    this.#deps.onStep("workspace:send");
    let arrivedAt: bigint;
    let naming = false;
    try {
      await guest.unpack("/", archive);
      naming = true;
      this.#deps.onStep("workspace:name");
      arrivedAt = await guest.rename(aside, guestPath);
    } catch (error) {
      const cleaner = new GuestTree(this.#deps.guests, vm.id, AbortSignal.timeout(DISCARD_MS));
      await discard(cleaner, aside);
      // Whoever gave up while the guest named it does not know whether it has.
      if (naming && BangerError.from(error).code === "cancelled") await discard(cleaner, guestPath);
      // The VM may be gone, and its row with it.
      if (this.#deps.store.vms.byId(vm.id) !== undefined) workspaces.remove(vm.id);
      throw error;
    }
    const [first] = staged.parts;
    const record: WorkspaceRecord = {
      vm: vm.id,
      hostPath: first?.repository.top ?? "",
      guestPath,
      head: first?.refs.head,
      tree: staged.tree,
      branch: first?.refs.branch,
      readonly,
      includeUntracked: wish.includeUntracked ?? false,
      depth: wish.depth,
      ownBranch: wish.branch !== undefined,
      ofRevision: wish.from !== undefined,
      arrivedAtNs: String(arrivedAt),
      sentAt: this.#deps.now(),
    };
    await this.#keep(record, staged, {
      index,
      files: files.map((file) => ({ ...file, arrivedNs: arrivedAt })),
    });
    onProgress({ event: "end", stage: "workspace", ms: performance.now() - from });
    return record;
  }

  /** A patch of everything that was done in the guest; see `exportPatch`. */
  async export(vm: VmRecord, options: ExportOptions): Promise<AsyncGenerator<Uint8Array>> {
    const record = this.demand(vm);
    const guest = new GuestTree(this.#deps.guests, vm.id, options.signal);
    return await this.#locks.hold(vm.id, async () => {
      return await exportPatch({ record, guest, places: this.#places(vm.id) }, options);
    });
  }

  /** The guest's commits as a branch of the host's repository; see `pullCommits`. */
  async pull(vm: VmRecord, wish: PullWish, { signal }: LongOptions): Promise<Pulled> {
    const record = this.demand(vm);
    return await this.#locks.hold(vm.id, async () => {
      const view = {
        record,
        guest: new GuestTree(this.#deps.guests, vm.id, signal),
        places: this.#places(vm.id),
      };
      const { branch = `banger/${vm.name}`, force = false } = wish;
      return await pullCommits(view, { signal, branch, force, onStep: this.#deps.onStep });
    });
  }

  /** Sends what is new on the host; see `syncWorkspace`. */
  async sync(
    vm: VmRecord,
    { force = false }: { readonly force?: boolean | undefined },
    { signal, onProgress }: LongOptions,
  ): Promise<Synced> {
    this.demand(vm);
    return await this.#locks.hold(vm.id, async () => {
      const record = this.demand(vm);
      const view = {
        record,
        guest: new GuestTree(this.#deps.guests, vm.id, signal),
        places: this.#places(vm.id),
      };
      const synced = await syncWorkspace(view, { signal, force, onStep: this.#deps.onStep });
      for (const text of synced.notes) onProgress({ event: "note", text });
      const now = { ...synced.record, sentAt: this.#deps.now() };
      this.#deps.store.workspaces.put(now);
      return { ...synced, record: now };
    });
  }

  /** What has moved on since it was sent, for people. Never rejects: whoever wants a warning does not want an error. */
  async drift(vm: VmRecord): Promise<string | undefined> {
    const record = this.#deps.store.workspaces.byVm(vm.id);
    if (record === undefined) return undefined;
    const places = this.#places(vm.id);
    return await findDrift(record, places, AbortSignal.timeout(DRIFT_MS)).catch(() => undefined);
  }

  #places(vm: string): WorkspacePlaces {
    return new WorkspacePlaces(join(this.#deps.vmDir(vm), "workspace"));
  }

  /** Everything is on disk before the record says so. */
  async #keep(
    record: WorkspaceRecord,
    staged: Staged,
    { index, files }: { readonly index: Buffer; readonly files: readonly SentFile[] },
  ): Promise<void> {
    const places = this.#places(record.vm);
    this.#deps.onStep("workspace:files");
    // What a daemon left that ended before it wrote the record.
    await rm(places.directory, { recursive: true, force: true });
    await mkdir(places.directory, { mode: 0o700 });
    await rename(staged.shadow, places.shadow);
    writeManifest(places.manifest, files);
    await writeFile(places.index, index, { mode: 0o600 });
    await writeFile(places.refs, packedRefs(staged.parts[0]?.refs.all ?? []), { mode: 0o600 });
    await syncTree(places.directory);
    this.#deps.onStep("workspace:record");
    this.#deps.store.workspaces.put(record);
    this.#deps.onStep("workspace:done");
  }
}

/** How long looking for what has moved on may take. */
const DRIFT_MS = 2_000;

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
