/** Workspaces as one object: what the routes call. */
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { KeyedLock } from "../lib/keyed-lock.ts";
import { removeLeftovers, storageError, temporaryName } from "../lib/publish.ts";
import { removeTree } from "../lib/remove-tree.ts";
import type { LongOptions } from "../model/boot.ts";
import { BangerError } from "../model/errors.ts";
import type { ArrivingTree } from "../model/kept.ts";
import type { WorkspaceCarrier } from "../model/saved.ts";
import type { VmRecord } from "../model/vm.ts";
import type { WorkspaceRecord, WorkspaceWish } from "../model/workspace.ts";
import type { Store } from "../store/store.ts";
import { arriveWorkspace } from "./arrive.ts";
import { arrivingTree } from "./arriving.ts";
import { CarriedWorkspaces } from "./carried.ts";
import { findDrift } from "./drift.ts";
import { type ExportOptions, exportPatch, type Patch } from "./export.ts";
import type { WorkspaceView } from "./guest-state.ts";
import { type GuestDoor, GuestTree } from "./guest-tree.ts";
import { WorkspacePlaces } from "./places.ts";
import { type Preview, previewOf } from "./preview.ts";
import { type PulledWorkspace, pullWorkspace } from "./pull-submodules.ts";
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
  /** Packs what travels, once; rejects with what went wrong. */
  staged(): Promise<Staged>;
}

export class Workspaces {
  readonly #deps: WorkspaceDeps;
  /** One a VM, for what changes what the host keeps of its workspace. */
  readonly #locks = new KeyedLock();

  /** What goes along when a VM is saved. */
  readonly carried: WorkspaceCarrier;

  constructor(deps: WorkspaceDeps) {
    this.#deps = deps;
    const { store } = deps;
    this.carried = new CarriedWorkspaces({ store, locks: this.#locks, places: (vm) => this.#places(vm) });
  }

  /** Removes what a daemon that ended in the middle of something has left. */
  async sweep(): Promise<void> {
    await removeLeftovers(this.#deps.directory);
  }

  /** What would travel. Errors: those of `surveyWorkspace`. */
  async preview(wish: WorkspaceWish, signal: AbortSignal): Promise<Preview> {
    return previewOf(await surveyWorkspace(wish, signal));
  }

  /**
   * Looks at everything before a VM is touched, and begins to pack, unless it is `lazy`: then that waits until it is known to be needed.
   * Errors: those of `surveyWorkspace`, `resource_exhausted`.
   */
  async prepare(
    wish: WorkspaceWish,
    signal: AbortSignal,
    { lazy = false }: { readonly lazy?: boolean } = {},
  ): Promise<PreparedWorkspace> {
    const survey = await surveyWorkspace(wish, signal);
    const directory = join(this.#deps.directory, temporaryName());
    this.#deps.onStep("workspace:stage");
    await mkdir(directory, { recursive: true, mode: 0o700 });
    const giveUp = new AbortController();
    let staging: Promise<Staged> | undefined;
    const staged = async (): Promise<Staged> => {
      staging ??= stageWorkspace(survey, directory, AbortSignal.any([signal, giveUp.signal]));
      try {
        return await staging;
      } catch (error) {
        throw storageError(error, directory);
      }
    };
    // Whoever waits for it comes later, or never.
    if (!lazy) staged().catch(() => undefined);
    return {
      survey,
      staged,
      [Symbol.asyncDispose]: async () => {
        giveUp.abort(new BangerError("cancelled", "the workspace is not wanted any more"));
        await staging?.catch(() => undefined);
        await removeTree(directory);
      },
    };
  }

  /** The work tree of a run, as its VM takes it; `inputs` are files of it that decide what its setup makes. */
  async arriving(
    prepared: PreparedWorkspace,
    options: LongOptions & { readonly inputs: readonly string[] },
  ): Promise<ArrivingTree> {
    const places = (vm: string): WorkspacePlaces => this.#places(vm);
    const { store, onStep } = this.#deps;
    return await arrivingTree({ workspaces: this, places, store, onStep }, prepared, options);
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
    const view = { vm, prepared, places: this.#places(vm.id) };
    return await this.#locks.hold(vm.id, async () => await arriveWorkspace(this.#deps, view, options));
  }

  /** A patch of everything that was done in the guest; see `exportPatch`. */
  async export(vm: VmRecord, options: ExportOptions): Promise<Patch> {
    this.demand(vm);
    return await this.#locks.hold(
      vm.id,
      async () => await exportPatch(this.#view(vm, options.signal), options),
    );
  }

  /** The guest's commits as branches of the host's repositories; see `pullWorkspace`. */
  async pull(vm: VmRecord, wish: PullWish, { signal }: LongOptions): Promise<PulledWorkspace> {
    this.demand(vm);
    return await this.#locks.hold(vm.id, async () => {
      const { branch = `banger/${vm.name}`, force = false } = wish;
      return await pullWorkspace(this.#view(vm, signal), {
        signal,
        branch,
        force,
        onStep: this.#deps.onStep,
      });
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
      const synced = await syncWorkspace(this.#view(vm, signal), {
        signal,
        force,
        onStep: this.#deps.onStep,
      });
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

  #view(vm: VmRecord, signal: AbortSignal): WorkspaceView {
    const record = this.demand(vm);
    const guest = new GuestTree(this.#deps.guests, vm.id, signal);
    const apart = record.submodules?.map(({ path }) => path) ?? [];
    return { record, guest, places: this.#places(vm.id), apart };
  }

  #places(vm: string): WorkspacePlaces {
    return new WorkspacePlaces(join(this.#deps.vmDir(vm), "workspace"));
  }
}

/** How long looking for what has moved on may take. */
const DRIFT_MS = 2_000;
