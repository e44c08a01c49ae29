/** The client's operations on what outlives VMs, and on the work trees in them: volumes, snapshots, templates, workspaces. */
import { decodeNotes, NOTES_HEADER } from "../../api/notes.ts";
import type { CreateSnapshot, Forks, ForkVm, Snapshot } from "../../api/types/snapshots.ts";
import type { Template } from "../../api/types/templates.ts";
import type { Vm } from "../../api/types/vms.ts";
import type { Volume } from "../../api/types/volumes.ts";
import type {
  ImportWorkspace,
  PulledWorkspace,
  PullWorkspace,
  SyncedWorkspace,
  SyncWorkspace,
  Workspace,
  WorkspaceBootstrap,
  WorkspacePreview,
} from "../../api/types/workspaces.ts";
import type { CallOptions, LongCallOptions } from "../calls.ts";
import { ImageClient } from "./images.ts";

export interface ExportOptions extends CallOptions {
  /** A revision of the guest's repository to compare with; absent: what arrived. */
  readonly base?: string | undefined;
  /** The path of a submodule: the patch is of it, and of nothing else. */
  readonly submodule?: string | undefined;
  readonly onNote?: ((note: string) => void) | undefined;
}

export abstract class KeptClient extends ImageClient {
  async listVolumes(options?: CallOptions): Promise<readonly Volume[]> {
    return (await this.calls.json<{ volumes: readonly Volume[] }>("volume.list", { ...options })).volumes;
  }

  async createVolume(wish: { name: string; sizeBytes: number }, options?: CallOptions): Promise<Volume> {
    return await this.calls.json("volume.create", { ...options, body: wish });
  }

  async showVolume(name: string, options?: CallOptions): Promise<Volume> {
    return await this.calls.json("volume.show", { ...options, path: { volume: name } });
  }

  /** Makes a volume larger; its file system follows when it is next mounted. */
  async setVolume(name: string, wish: { sizeBytes: number }, options?: CallOptions): Promise<Volume> {
    return await this.calls.json("volume.set", { ...options, path: { volume: name }, body: wish });
  }

  async removeVolume(name: string, options?: CallOptions): Promise<Volume> {
    return await this.calls.json("volume.remove", { ...options, path: { volume: name } });
  }

  /** Saves a VM as it is now; a running one goes on. */
  async createSnapshot(ref: string, wish: CreateSnapshot = {}, options?: LongCallOptions): Promise<Snapshot> {
    return await this.calls.progress("snapshot.create", { ...options, path: { vm: ref }, body: wish });
  }

  async listSnapshots(options?: CallOptions): Promise<readonly Snapshot[]> {
    const { snapshots } = await this.calls.json<{ snapshots: readonly Snapshot[] }>("snapshot.list", {
      ...options,
    });
    return snapshots;
  }

  /** `snapshot` here and below: a name or an id. */
  async showSnapshot(snapshot: string, options?: CallOptions): Promise<Snapshot> {
    return await this.calls.json("snapshot.show", { ...options, path: { snapshot } });
  }

  /** Deletes a snapshot; VMs made from it live on. */
  async removeSnapshot(snapshot: string, options?: CallOptions): Promise<Snapshot> {
    return await this.calls.json("snapshot.remove", { ...options, path: { snapshot } });
  }

  /** Takes a VM back to a snapshot of it. */
  async restoreVm(ref: string, snapshot: string, options?: LongCallOptions): Promise<Vm> {
    return await this.calls.progress("vm.restore", { ...options, path: { vm: ref }, body: { snapshot } });
  }

  /** Makes VMs that go on from where a running one is: all of them, or none. */
  async forkVm(ref: string, wish: ForkVm = {}, options?: LongCallOptions): Promise<Forks> {
    return await this.calls.progress("vm.fork", { ...options, path: { vm: ref }, body: wish });
  }

  /** What a copy of a git work tree would bring; nothing is made. */
  async previewWorkspace(wish: ImportWorkspace, options?: CallOptions): Promise<WorkspacePreview> {
    return await this.calls.json("workspace.preview", { ...options, body: wish });
  }

  /** What a work tree says of its VM; its `steps` and `inputs` are the `setup` of a run. */
  async planBootstrap(wish: ImportWorkspace, options?: CallOptions): Promise<WorkspaceBootstrap> {
    return await this.calls.json("workspace.bootstrap", { ...options, body: wish });
  }

  /** Copies a git work tree with its history into a running VM. */
  async importWorkspace(ref: string, wish: ImportWorkspace, options?: LongCallOptions): Promise<Workspace> {
    return await this.calls.progress("workspace.import", { ...options, path: { vm: ref }, body: wish });
  }

  /** Errors: `failed_precondition` when the VM has none. */
  async showWorkspace(ref: string, options?: CallOptions): Promise<Workspace> {
    return await this.calls.json("workspace.show", { ...options, path: { vm: ref } });
  }

  /** The commits of a VM's workspace become a branch of the host's repository. */
  async pullWorkspace(
    ref: string,
    wish: PullWorkspace = {},
    options?: LongCallOptions,
  ): Promise<PulledWorkspace> {
    return await this.calls.progress("workspace.pull", { ...options, path: { vm: ref }, body: wish });
  }

  /** Sends what is new in the host's work tree. Errors: `conflict` when both sides changed the same. */
  async syncWorkspace(
    ref: string,
    wish: SyncWorkspace = {},
    options?: LongCallOptions,
  ): Promise<SyncedWorkspace> {
    return await this.calls.progress("workspace.sync", { ...options, path: { vm: ref }, body: wish });
  }

  /**
   * A patch for `git apply --index`; reading it to its end without an error means that it is whole. `onNote` hears of what is not in it,
   * for people, before this returns.
   */
  async exportWorkspace(
    ref: string,
    { base, submodule, onNote, ...options }: ExportOptions = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    const query = {
      ...(base === undefined ? {} : { base }),
      ...(submodule === undefined ? {} : { submodule }),
    };
    const answer = await this.calls.send("workspace.export", { ...options, path: { vm: ref }, query });
    for (const note of decodeNotes(answer.header(NOTES_HEADER))) onNote?.(note);
    return answer.body;
  }

  /** The templates for warm starts. */
  async listTemplates(options?: CallOptions): Promise<readonly Template[]> {
    const { templates } = await this.calls.json<{ templates: readonly Template[] }>("template.list", {
      ...options,
    });
    return templates;
  }

  async removeTemplate(id: string, options?: CallOptions): Promise<Template> {
    return await this.calls.json("template.remove", { ...options, path: { template: id } });
  }

  /** Removes all of them; returns how many there were. */
  async pruneTemplates(options?: CallOptions): Promise<number> {
    return (await this.calls.json<{ removed: number }>("template.prune", { ...options })).removed;
  }
}
