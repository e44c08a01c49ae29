/** The typed client of the daemon: one method an operation. */
import { fillPath, MAX_BODY_BYTES, type OperationId, PATHS } from "../api/paths.ts";
import type { Exec, ExecRequest } from "../api/types/exec.ts";
import type { ConfigReport, DaemonStatus, DoctorReport } from "../api/types/host.ts";
import type {
  CatalogImage,
  CommitImage,
  ImageDetails,
  PruneImages,
  PruneItem,
  VerifyReport,
} from "../api/types/image-care.ts";
import type { ExportImageQuery, Image, ImportImage, PullImage } from "../api/types/images.ts";
import type { ImportKernel, Kernel } from "../api/types/kernels.ts";
import type { NetworkReport, NetworkVerdict } from "../api/types/network.ts";
import type { ProgressLine } from "../api/types/progress.ts";
import type { CreateSnapshot, Forks, ForkVm, Snapshot } from "../api/types/snapshots.ts";
import type { Template } from "../api/types/templates.ts";
import type { Listener, VmStats } from "../api/types/use.ts";
import type { CreateVm, RunRequest, SetVm, StopVm, Vm, VmEvent } from "../api/types/vms.ts";
import type { Volume } from "../api/types/volumes.ts";
import type {
  ImportWorkspace,
  PulledWorkspace,
  PullWorkspace,
  SyncedWorkspace,
  SyncWorkspace,
  Workspace,
  WorkspacePreview,
} from "../api/types/workspaces.ts";
import { BangerError, type ErrorBody } from "../model/errors.ts";
import type { SshDoor, SshKeys } from "../model/ssh.ts";
import { connectionError, daemonEnded, readBytes, readLines, readText } from "./answers.ts";
import { Command, type CommandListener } from "./command.ts";
import { GuestFiles } from "./files/guest-files.ts";
import { follow } from "./follow.ts";
import { GuestStream } from "./guest-stream.ts";
import { createTransport, type HttpAnswer, type Transport } from "./transport.ts";

export interface CallOptions {
  /** Cancels the operation, also in the daemon. */
  readonly signal?: AbortSignal;
}

export interface LongCallOptions extends CallOptions {
  readonly onProgress?: (line: ProgressLine) => void;
}

interface CallInput extends LongCallOptions {
  readonly path?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

/** Errors of every method: BangerError, with the daemon's code, message and cure; `unavailable` when there is no daemon. */
export class Client {
  readonly #transport: Transport;

  private constructor(transport: Transport) {
    this.#transport = transport;
  }

  /** A client of the daemon at `socketPath`. Nothing is sent yet. */
  static async create(socketPath: string): Promise<Client> {
    return new Client(await createTransport(socketPath));
  }

  async daemonStatus(options?: CallOptions): Promise<DaemonStatus> {
    return await this.#json("daemon.status", { ...options });
  }

  /** Ends the daemon; VMs live on. */
  async stopDaemon(options?: CallOptions): Promise<void> {
    await this.#json("daemon.stop", { ...options });
  }

  async doctor(options?: CallOptions): Promise<DoctorReport> {
    return await this.#json("doctor", { ...options });
  }

  /** What the daemon obeys, and where each value came from. */
  async config(options?: CallOptions): Promise<ConfigReport> {
    return await this.#json("config", { ...options });
  }

  /** What the daemon counts, in Prometheus' text format. */
  async metrics(options?: CallOptions): Promise<string> {
    return await readText(await this.#send("metrics", { ...options }));
  }

  /** The network of this user's VMs. */
  async showNetwork(options?: CallOptions): Promise<NetworkReport> {
    return await this.#json("network.show", { ...options });
  }

  /** Removes the network's namespace. Errors: `failed_precondition` while VMs use it. */
  async takeNetworkDown(options?: CallOptions): Promise<void> {
    await this.#json("network.down", { ...options });
  }

  /** Whether a VM may reach `HOST:PORT[/PROTOCOL]`, and which rule says so. */
  async checkNetwork(vm: string, target: string, options?: CallOptions): Promise<NetworkVerdict> {
    return await this.#json("network.check", { ...options, path: { vm }, body: { target } });
  }

  async listVms(options?: CallOptions): Promise<readonly Vm[]> {
    const { vms } = await this.#json<{ vms: readonly Vm[] }>("vm.list", { ...options });
    return vms;
  }

  /** `ref` here and below: a name, an id, or an unambiguous id prefix. */
  async showVm(ref: string, options?: CallOptions): Promise<Vm> {
    return await this.#json("vm.show", { ...options, path: { vm: ref } });
  }

  /** Makes a VM and, unless `start` is false, starts it; `cold` boots it even where a template would be faster. */
  async createVm(
    wish: CreateVm,
    options: LongCallOptions & { readonly start?: boolean; readonly cold?: boolean } = {},
  ): Promise<Vm> {
    const { start = true, cold = false, ...rest } = options;
    const query = { start: String(start), cold: String(cold) };
    return await this.#progress("vm.create", { ...rest, query, body: wish });
  }

  async startVm(ref: string, options: LongCallOptions & { readonly cold?: boolean } = {}): Promise<Vm> {
    const { cold = false, ...rest } = options;
    return await this.#progress("vm.start", { ...rest, path: { vm: ref }, query: { cold: String(cold) } });
  }

  async stopVm(ref: string, options: LongCallOptions & StopVm = {}): Promise<Vm> {
    const { timeoutMs, ...rest } = options;
    return await this.#progress("vm.stop", { ...rest, path: { vm: ref }, body: { timeoutMs } });
  }

  async restartVm(ref: string, options: LongCallOptions & StopVm = {}): Promise<Vm> {
    const { timeoutMs, ...rest } = options;
    return await this.#progress("vm.restart", { ...rest, path: { vm: ref }, body: { timeoutMs } });
  }

  /** Ends the VM's process at once; what the guest had not synced is lost. */
  async killVm(ref: string, options: LongCallOptions & { readonly how?: "KILL" | "TERM" } = {}): Promise<Vm> {
    const { how, ...rest } = options;
    return await this.#progress("vm.kill", { ...rest, path: { vm: ref }, body: { signal: how } });
  }

  async pauseVm(ref: string, options?: CallOptions): Promise<Vm> {
    return await this.#json("vm.pause", { ...options, path: { vm: ref } });
  }

  async resumeVm(ref: string, options?: CallOptions): Promise<Vm> {
    return await this.#json("vm.resume", { ...options, path: { vm: ref } });
  }

  /** Changes name or size; `pending` of the answer names what waits for the next start. */
  async setVm(ref: string, wish: SetVm, options?: CallOptions): Promise<Vm> {
    return await this.#json("vm.set", { ...options, path: { vm: ref }, body: wish });
  }

  /** Resolves when the VM is stopped, or in error. */
  async waitVm(ref: string, options?: CallOptions): Promise<Vm> {
    return await this.#progress("vm.wait", { ...options, path: { vm: ref } });
  }

  /** What the live VMs use now. */
  async stats(options?: CallOptions): Promise<readonly VmStats[]> {
    const { stats } = await this.#json<{ stats: readonly VmStats[] }>("stats", { ...options });
    return stats;
  }

  /** The sockets that listen in a VM. */
  async ports(ref: string, options?: CallOptions): Promise<readonly Listener[]> {
    const path = { vm: ref };
    return (await this.#json<{ listeners: readonly Listener[] }>("vm.ports", { ...options, path })).listeners;
  }

  /** The key that opens VMs over SSH, made when it is missing. */
  async sshKeys(options?: CallOptions): Promise<SshKeys> {
    return await this.#json("ssh.keys", { ...options });
  }

  /** What an SSH server of a running VM is made with. */
  async sshDoor(ref: string, options?: CallOptions): Promise<SshDoor> {
    return await this.#json("vm.sshDoor", { ...options, path: { vm: ref } });
  }

  /** Deletes a VM and its disk; `force` also while it runs. */
  async removeVm(ref: string, options: CallOptions & { readonly force?: boolean } = {}): Promise<Vm> {
    const { force = false, ...rest } = options;
    return await this.#json("vm.remove", { ...rest, path: { vm: ref }, query: { force: String(force) } });
  }

  /** The guest's console output, at most the last MiB. */
  async logs(ref: string, options?: CallOptions): Promise<string> {
    return await readText(await this.#send("vm.logs", { ...options, path: { vm: ref } }));
  }

  /** Runs a command in a VM. */
  exec(ref: string, exec: ExecRequest, listener: CommandListener = {}): Command {
    return new Command(this.#transport, fillPath("vm.exec", { vm: ref }), {
      first: { type: "exec", exec },
      listener,
    });
  }

  /** Runs a command that belongs to no client: it lives on when this one goes. Its last MiB of output is kept. */
  async execDetached(
    ref: string,
    exec: ExecRequest,
    options?: CallOptions,
  ): Promise<{ id: string; pid: number }> {
    return await this.#json("vm.execDetached", { ...options, path: { vm: ref }, body: exec });
  }

  /** Joins a detached command: its kept output, then live. Going away leaves it running. */
  attach(ref: string, id: string, listener: CommandListener = {}): Command {
    return new Command(this.#transport, fillPath("vm.exec", { vm: ref }), {
      first: { type: "attach", id },
      listener,
    });
  }

  /** Files and connections of a VM. Nothing is sent yet. */
  files(ref: string): GuestFiles {
    const path = fillPath("vm.stream", { vm: ref });
    return new GuestFiles((options) => new GuestStream(this.#transport, path, options));
  }

  /** The commands of a VM that the guest knows. */
  async execs(ref: string, options?: CallOptions): Promise<readonly Exec[]> {
    const { execs } = await this.#json<{ execs: readonly Exec[] }>("vm.execs", {
      ...options,
      path: { vm: ref },
    });
    return execs;
  }

  /** What happens to VMs, after `after` (a cursor) or from now on, until the signal or the end of the daemon. */
  async *events(options: CallOptions & { readonly after?: number } = {}): AsyncGenerator<VmEvent> {
    const query = options.after === undefined ? "" : `?after=${options.after}`;
    for await (const message of follow(this.#transport, `${fillPath("events")}${query}`, options.signal)) {
      if (typeof message === "string") yield JSON.parse(message) as VmEvent;
    }
  }

  /** A VM's console: the end of what is there, then what comes, until the signal or the end of the daemon. */
  async *followLogs(ref: string, options: CallOptions = {}): AsyncGenerator<Uint8Array> {
    for await (const message of follow(this.#transport, fillPath("vm.follow", { vm: ref }), options.signal)) {
      if (typeof message !== "string") yield message;
    }
  }

  /** Makes a VM and runs a command in it. */
  run(run: RunRequest, listener: CommandListener = {}): Command {
    return new Command(this.#transport, fillPath("run"), { first: { type: "run", run }, listener });
  }

  async listImages(options?: CallOptions): Promise<readonly Image[]> {
    const { images } = await this.#json<{ images: readonly Image[] }>("image.list", { ...options });
    return images;
  }

  async pullImage(wish: PullImage, options?: LongCallOptions): Promise<Image> {
    return await this.#progress("image.pull", { ...options, body: wish });
  }

  async importImage(wish: ImportImage, options?: LongCallOptions): Promise<Image> {
    return await this.#progress("image.import", { ...options, body: wish });
  }

  /** A tar; reading it to its end without an error means that it is whole. */
  async exportImage(
    name: string,
    { format, ...options }: CallOptions & ExportImageQuery = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    const answer = await this.#send("image.export", {
      ...options,
      path: { image: name },
      ...(format === undefined ? {} : { query: { format } }),
    });
    return readBytes(answer);
  }

  async removeImage(name: string, options?: CallOptions): Promise<Image> {
    return await this.#json("image.remove", { ...options, path: { image: name } });
  }

  async showImage(name: string, options?: CallOptions): Promise<ImageDetails> {
    return await this.#json("image.show", { ...options, path: { image: name } });
  }

  /** Gives the image `name` another name. */
  async tagImage(name: string, newName: string, options?: CallOptions): Promise<Image> {
    return await this.#json("image.tag", { ...options, path: { image: name }, body: { name: newName } });
  }

  /** Makes an image of a stopped or running VM. */
  async commitImage(wish: CommitImage, options?: LongCallOptions): Promise<Image> {
    return await this.#progress("image.commit", { ...options, body: wish });
  }

  /** Removes what nothing uses; the answer also says what stays, and why. */
  async pruneImages(wish: PruneImages = {}, options?: CallOptions): Promise<readonly PruneItem[]> {
    const answer = this.#json<{ items: readonly PruneItem[] }>("image.prune", { ...options, body: wish });
    return (await answer).items;
  }

  /** Reads everything that is stored by its digest. */
  async verifyImages(options?: LongCallOptions): Promise<VerifyReport> {
    return await this.#progress("image.verify", { ...options });
  }

  /** The images that can be made by name. */
  async catalog(options?: CallOptions): Promise<readonly CatalogImage[]> {
    const { images } = await this.#json<{ images: readonly CatalogImage[] }>("catalog", { ...options });
    return images;
  }

  async listKernels(options?: CallOptions): Promise<readonly Kernel[]> {
    return (await this.#json<{ kernels: readonly Kernel[] }>("kernel.list", { ...options })).kernels;
  }

  async showKernel(name: string, options?: CallOptions): Promise<Kernel> {
    return await this.#json("kernel.show", { ...options, path: { kernel: name } });
  }

  /** Fetches the default kernel anew. */
  async pullKernel(options?: LongCallOptions): Promise<Kernel> {
    return await this.#progress("kernel.pull", { ...options });
  }

  async importKernel(wish: ImportKernel, options?: LongCallOptions): Promise<Kernel> {
    return await this.#progress("kernel.import", { ...options, body: wish });
  }

  /** Forgets a kernel that no VM boots; returns its name. */
  async removeKernel(name: string, options?: CallOptions): Promise<string> {
    return (await this.#json<{ name: string }>("kernel.remove", { ...options, path: { kernel: name } })).name;
  }

  async listVolumes(options?: CallOptions): Promise<readonly Volume[]> {
    return (await this.#json<{ volumes: readonly Volume[] }>("volume.list", { ...options })).volumes;
  }

  async createVolume(wish: { name: string; sizeBytes: number }, options?: CallOptions): Promise<Volume> {
    return await this.#json("volume.create", { ...options, body: wish });
  }

  async showVolume(name: string, options?: CallOptions): Promise<Volume> {
    return await this.#json("volume.show", { ...options, path: { volume: name } });
  }

  /** Makes a volume larger; its file system follows when it is next mounted. */
  async setVolume(name: string, wish: { sizeBytes: number }, options?: CallOptions): Promise<Volume> {
    return await this.#json("volume.set", { ...options, path: { volume: name }, body: wish });
  }

  async removeVolume(name: string, options?: CallOptions): Promise<Volume> {
    return await this.#json("volume.remove", { ...options, path: { volume: name } });
  }

  /** Saves a VM as it is now; a running one goes on. */
  async createSnapshot(ref: string, wish: CreateSnapshot = {}, options?: LongCallOptions): Promise<Snapshot> {
    return await this.#progress("snapshot.create", { ...options, path: { vm: ref }, body: wish });
  }

  async listSnapshots(options?: CallOptions): Promise<readonly Snapshot[]> {
    const { snapshots } = await this.#json<{ snapshots: readonly Snapshot[] }>("snapshot.list", {
      ...options,
    });
    return snapshots;
  }

  /** `snapshot` here and below: a name or an id. */
  async showSnapshot(snapshot: string, options?: CallOptions): Promise<Snapshot> {
    return await this.#json("snapshot.show", { ...options, path: { snapshot } });
  }

  /** Deletes a snapshot; VMs made from it live on. */
  async removeSnapshot(snapshot: string, options?: CallOptions): Promise<Snapshot> {
    return await this.#json("snapshot.remove", { ...options, path: { snapshot } });
  }

  /** Takes a VM back to a snapshot of it. */
  async restoreVm(ref: string, snapshot: string, options?: LongCallOptions): Promise<Vm> {
    return await this.#progress("vm.restore", { ...options, path: { vm: ref }, body: { snapshot } });
  }

  /** Makes VMs that go on from where a running one is: all of them, or none. */
  async forkVm(ref: string, wish: ForkVm = {}, options?: LongCallOptions): Promise<Forks> {
    return await this.#progress("vm.fork", { ...options, path: { vm: ref }, body: wish });
  }

  /** What a copy of a git work tree would bring; nothing is made. */
  async previewWorkspace(wish: ImportWorkspace, options?: CallOptions): Promise<WorkspacePreview> {
    return await this.#json("workspace.preview", { ...options, body: wish });
  }

  /** Copies a git work tree with its history into a running VM. */
  async importWorkspace(ref: string, wish: ImportWorkspace, options?: LongCallOptions): Promise<Workspace> {
    return await this.#progress("workspace.import", { ...options, path: { vm: ref }, body: wish });
  }

  /** Errors: `failed_precondition` when the VM has none. */
  async showWorkspace(ref: string, options?: CallOptions): Promise<Workspace> {
    return await this.#json("workspace.show", { ...options, path: { vm: ref } });
  }

  /** The commits of a VM's workspace become a branch of the host's repository. */
  async pullWorkspace(
    ref: string,
    wish: PullWorkspace = {},
    options?: LongCallOptions,
  ): Promise<PulledWorkspace> {
    return await this.#progress("workspace.pull", { ...options, path: { vm: ref }, body: wish });
  }

  /** Sends what is new in the host's work tree. Errors: `conflict` when both sides changed the same. */
  async syncWorkspace(
    ref: string,
    wish: SyncWorkspace = {},
    options?: LongCallOptions,
  ): Promise<SyncedWorkspace> {
    return await this.#progress("workspace.sync", { ...options, path: { vm: ref }, body: wish });
  }

  /** A patch for `git apply --index`; reading it to its end without an error means that it is whole. */
  async exportWorkspace(
    ref: string,
    { base, ...options }: CallOptions & { readonly base?: string | undefined } = {},
  ): Promise<AsyncIterable<Uint8Array>> {
    const query = base === undefined ? {} : { query: { base } };
    return readBytes(await this.#send("workspace.export", { ...options, path: { vm: ref }, ...query }));
  }

  /** The templates for warm starts. */
  async listTemplates(options?: CallOptions): Promise<readonly Template[]> {
    const { templates } = await this.#json<{ templates: readonly Template[] }>("template.list", {
      ...options,
    });
    return templates;
  }

  async removeTemplate(id: string, options?: CallOptions): Promise<Template> {
    return await this.#json("template.remove", { ...options, path: { template: id } });
  }

  /** Removes all of them; returns how many there were. */
  async pruneTemplates(options?: CallOptions): Promise<number> {
    return (await this.#json<{ removed: number }>("template.prune", { ...options })).removed;
  }

  async #json<T>(id: OperationId, input: CallInput): Promise<T> {
    const answer = await this.#send(id, input);
    return JSON.parse(await readText(answer)) as T;
  }

  async #progress<T>(id: OperationId, input: CallInput): Promise<T> {
    const answer = await this.#send(id, input);
    try {
      for await (const text of readLines(answer.body)) {
        const line = JSON.parse(text) as ProgressLine;
        if (line.event === "result") return line.result as T;
        if (line.event === "error") throw BangerError.fromBody(line.error);
        input.onProgress?.(line);
      }
    } catch (error) {
      throw connectionError(error);
    }
    throw daemonEnded();
  }

  /** Sends a request and turns an error answer into a BangerError. */
  async #send(id: OperationId, input: CallInput): Promise<HttpAnswer> {
    const query = new URLSearchParams(input.query).toString();
    const path = fillPath(id, input.path) + (query === "" ? "" : `?${query}`);
    const body = input.body === undefined ? undefined : JSON.stringify(input.body);
    if (body !== undefined && body.length > MAX_BODY_BYTES) {
      throw new BangerError("resource_exhausted", `the request is larger than ${MAX_BODY_BYTES} bytes`);
    }
    try {
      const answer = await this.#transport.request({
        method: PATHS[id].method,
        path,
        body,
        signal: input.signal,
      });
      if (answer.status < 400) return answer;
      const { error } = JSON.parse(await readText(answer)) as { error: ErrorBody };
      throw BangerError.fromBody(error);
    } catch (error) {
      throw connectionError(error);
    }
  }
}
