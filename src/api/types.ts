/** The bodies of the API as types. The schemas of the same names check them; a field's unit stands in its name. */
import type { DoctorRow } from "../model/doctor.ts";
import type { ErrorBody } from "../model/errors.ts";
import type { EventKind } from "../model/event.ts";
import type { GuestStreamMessage, GuestStreamRequest } from "../model/guest-stream.ts";
import type { Init } from "../model/init.ts";
import type { NetworkMode } from "../model/network-policy.ts";
import type { PublishedPort, PublishedPortRef } from "../model/published-port.ts";
import type { ImageConfig, VmSpec } from "../model/spec.ts";
import type { StepTiming, VmState } from "../model/vm.ts";
import type { VolumeMount } from "../model/volume.ts";
import type { WorkspaceWish } from "../model/workspace.ts";

export interface Vm {
  readonly id: string;
  readonly name: string;
  readonly state: VmState;
  readonly spec: VmSpec;
  /** sha256 of the image's root file system. */
  readonly imageDigest: string;
  /** The guest's address in the plan. */
  readonly address: string;
  /** True: deleted with the run that made it. */
  readonly ephemeral: boolean;
  /** The VM's directory on the host. */
  readonly directory: string;
  /** The id of the snapshot that it was made from. */
  readonly parent?: string | undefined;
  readonly driver?: string | undefined;
  /** The guest kernel's boot id. */
  readonly bootId?: string | undefined;
  /** The hypervisor's process, while it runs. */
  readonly pid?: number | undefined;
  /** False: the running guest has been silent for 20 s. */
  readonly responsive?: boolean | undefined;
  /** Unix milliseconds, as the two below. */
  readonly createdAt: number;
  readonly startedAt?: number | undefined;
  readonly stoppedAt?: number | undefined;
  readonly lastError?: ErrorBody | undefined;
  /** How it reaches others, where one VM is shown: a card, or the agent's channel. Absent: it is not up, or cannot. */
  readonly networkWay?: "card" | "channel" | undefined;
  /** Why ports that should be published are not, where one VM is shown. */
  readonly portProblems?: readonly string[] | undefined;
  /** The fields of `spec` that wait for the next start. */
  readonly pending: readonly string[];
  /** The steps of the last start. */
  readonly startSteps: readonly StepTiming[];
  /** What the image says of itself, where one VM is shown: the ports that it serves, as `80/tcp`. */
  readonly exposedPorts?: readonly string[] | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
}

export interface CreateVm {
  /** Absent: the daemon makes a readable one. */
  readonly name?: string | undefined;
  /** Absent: the default image. */
  readonly image?: string | undefined;
  readonly vcpus?: number | undefined;
  readonly memoryMib?: number | undefined;
  readonly diskMib?: number | undefined;
  /** Environment of every command in the VM. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The driver; absent: the best that the host has. */
  readonly vmm?: string | undefined;
  /** Process 1 of the guest; absent: what the image says. */
  readonly init?: Init | undefined;
  /** A kernel's name, `host`, or `image`: the image's own; absent: Debian's. */
  readonly kernel?: string | undefined;
  readonly volumes?: readonly VolumeMount[] | undefined;
  /** Port 0 of this host: any that is free, which the VM then keeps. */
  readonly ports?: readonly PublishedPort[] | undefined;
  /** Go on from this snapshot, by name or id, when it starts first. */
  readonly snapshot?: string | undefined;
  /** Absent: `public`. */
  readonly network?: NetworkWish | undefined;
}

/** What a VM is to reach; what is absent stays as it was. */
export interface NetworkWish {
  readonly mode?: NetworkMode | undefined;
  /** `HOST[:PORT][/PROTOCOL]` each; replaces the list. */
  readonly allow?: readonly string[] | undefined;
  /** As `allow`: what is refused in every mode. */
  readonly deny?: readonly string[] | undefined;
  /** Whether it talks with other guests that say so, too. */
  readonly peers?: boolean | undefined;
}

/** The network of this user's VMs. */
export interface NetworkReport {
  /** `none`: guests have no network card; `why` says the reason. */
  readonly kind: "namespace" | "channel" | "none";
  readonly why?: string | undefined;
  readonly cure?: string | undefined;
  /** Whether the namespace is there now. */
  readonly up: boolean;
  readonly namespace: string;
  /** The host's end of the link into the namespace. */
  readonly hostLink: string;
  readonly pool: string;
  readonly gateway: string;
  /** The program that carries packets out. */
  readonly uplink: string;
  readonly readyTaps: number;
  readonly nameservers: readonly string[];
  /** What keeps the host from reaching guests by address. */
  readonly clash?: string | undefined;
  readonly vms: readonly NetworkedVm[];
}

export interface NetworkedVm {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly mode: string;
  readonly tap: string;
}

export interface NetworkCheck {
  /** `HOST:PORT[/PROTOCOL]`, or `HOST/icmp`. */
  readonly target: string;
}

export interface NetworkVerdict {
  /** `allow` when at least one address can be reached. */
  readonly verdict: "allow" | "deny";
  /** What decided. */
  readonly rule: string;
  readonly addresses: readonly CheckedAddress[];
}

export interface CheckedAddress {
  readonly address: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly port?: number | undefined;
  readonly verdict: "allow" | "deny";
  readonly rule: string;
}

export interface Tty {
  readonly cols: number;
  readonly rows: number;
  readonly term: string;
}

export interface ExecRequest {
  /** Absent or empty: the image's own command, else a shell. */
  readonly argv?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly user?: string | undefined;
  readonly tty?: Tty | undefined;
  /** The command is killed in the guest when it is over. */
  readonly timeoutMs?: number | undefined;
}

export interface RunRequest {
  readonly vm: CreateVm;
  /** Absent: start only, and leave it running. */
  readonly exec?: ExecRequest | undefined;
  /** Delete the VM when the command has ended or the client goes away. */
  readonly remove?: boolean | undefined;
  /** Boot, even where a template would be faster. */
  readonly cold?: boolean | undefined;
  /** A git work tree that comes along; the command starts in it. */
  readonly workspace?: ImportWorkspace | undefined;
}

export interface KillVm {
  /** `KILL` (the default) ends the process as it stands; `TERM` lets the hypervisor write out its buffers first. */
  readonly signal?: "KILL" | "TERM" | undefined;
}

export interface SetVm {
  readonly name?: string | undefined;
  readonly vcpus?: number | undefined;
  readonly memoryMib?: number | undefined;
  /** Only larger. */
  readonly diskMib?: number | undefined;
  /** As in `CreateVm`; `debian` is the default again. */
  readonly kernel?: string | undefined;
  /** Holds at once. */
  readonly network?: NetworkWish | undefined;
  /** Added to those that are published, at once. */
  readonly publish?: readonly PublishedPort[] | undefined;
  /** Taken away before, at once, with the connections that came through them. */
  readonly unpublish?: readonly PublishedPortRef[] | undefined;
}

/** What a VM uses now: the host's side, and the guest's own word when it answers. */
export interface VmStats {
  readonly id: string;
  readonly name: string;
  /** CPU time of the hypervisor process. */
  readonly cpuMs: number;
  /** Resident memory of the hypervisor process. */
  readonly rssBytes: number;
  readonly guest?: GuestStats | undefined;
}

export interface GuestStats {
  readonly uptimeMs: number;
  readonly memoryTotalBytes: number;
  readonly memoryAvailableBytes: number;
  readonly cpuMs: number;
  readonly processes: number;
  /** Of the writable layer, as the next. */
  readonly diskTotalBytes: number;
  readonly diskUsedBytes: number;
}

/** A socket that listens in a guest. */
export interface Listener {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
  readonly pid?: number | undefined;
  readonly command?: string | undefined;
  /** Where this host listens for it. */
  readonly published?: readonly string[] | undefined;
}

/** A detached command of a VM. */
export interface Exec {
  readonly id: string;
  readonly pid: number;
  readonly argv: readonly string[];
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly running: boolean;
  /** On a terminal. */
  readonly tty: boolean;
  /** 128 + n for signal n; absent while it runs. */
  readonly exitCode?: number | undefined;
}

/** Something that happened to a VM. */
export interface VmEvent {
  /** Ascending; where a reader goes on. */
  readonly cursor: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly kind: EventKind;
  readonly vm: string;
  readonly name: string;
  readonly message?: string | undefined;
}

export interface StopVm {
  /** How long the guest may take before its process is ended. Default: the configured `stop_timeout`. */
  readonly timeoutMs?: number | undefined;
}

export interface Image {
  readonly name: string;
  /** sha256 of the root file system. */
  readonly digest: string;
  readonly sizeBytes: number;
  /** Where it came from, for a person. */
  readonly source: string;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

/** A point in time of a VM that was saved. */
export interface Snapshot {
  readonly id: string;
  readonly name: string;
  /** The id of the VM that it was taken from, which may be gone. */
  readonly vm: string;
  readonly vmName: string;
  readonly spec: VmSpec;
  readonly imageDigest: string;
  /** The id of the snapshot that the VM was made from. */
  readonly parent?: string | undefined;
  /** `machine`: memory, devices and disk; `disk`: the disk alone. */
  readonly kind: "machine" | "disk";
  /** What it takes of the host's disk. */
  readonly sizeBytes: number;
  /** How long the guest stood still for it. */
  readonly pauseMs: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
}

export interface CreateSnapshot {
  /** Absent: the VM's name and a number. */
  readonly name?: string | undefined;
  /** Save the disk alone, also of a running VM. */
  readonly diskOnly?: boolean | undefined;
}

export interface RestoreVm {
  /** A snapshot of the VM, by name or id. */
  readonly snapshot: string;
}

export interface ForkVm {
  /** How many; default 1. */
  readonly count?: number | undefined;
  /** The children are PREFIX-1, PREFIX-2, …; default: the parent's name. */
  readonly prefix?: string | undefined;
}

export interface Forks {
  readonly vms: readonly Vm[];
  /** How long the parent stood still. */
  readonly pauseMs: number;
}

/** A machine that booted an image and was saved, so that VMs like it need not boot. */
export interface Template {
  readonly id: string;
  /** The name that the image had. */
  readonly image: string;
  readonly imageDigest: string;
  readonly vcpus: number;
  readonly memoryMib: number;
  readonly diskMib: number;
  readonly driver: string;
  /** What it takes of the host's disk. */
  readonly sizeBytes: number;
  /** Unix milliseconds, as the next. */
  readonly createdAt: number;
  readonly usedAt: number;
  /** Clones of it that wait in the warm pool. */
  readonly pooled: number;
}

export interface PullImage {
  readonly name: string;
  readonly platform?: string | undefined;
}

export interface ExportImageQuery {
  /** `oci`: a layout with the blobs that the image came with; `rootfs`: its files. Absent: `oci`. */
  readonly format?: "oci" | "rootfs" | undefined;
}

export interface ImportImage {
  readonly name: string;
  /** An absolute path of a root file system tar on the host. */
  readonly path: string;
}

export interface ImageDetails extends Image {
  /** All names of its content. */
  readonly names: readonly string[];
  /** VMs made from it, at most five. */
  readonly vms: readonly string[];
  /** False: its content is damaged or gone. */
  readonly usable: boolean;
  readonly config: ImageConfig;
  /** Of an image that came as an OCI image. */
  readonly manifestDigest?: string | undefined;
  /** Manifest, configuration, layers; 0 bytes: it is gone. */
  readonly blobs: readonly { readonly digest: string; readonly sizeBytes: number }[];
}

export interface TagImage {
  /** The new name. */
  readonly name: string;
}

export interface CommitImage {
  /** A VM: name, id or id prefix. */
  readonly vm: string;
  /** The new image's name. */
  readonly name: string;
}

export interface PruneImages {
  /** Also images that have a name and no VM. */
  readonly all?: boolean | undefined;
  /** Only say what would be removed. */
  readonly dryRun?: boolean | undefined;
}

export interface PruneItem {
  readonly kind: "image" | "blob" | "download";
  /** The digest; of a download its file's name. */
  readonly id: string;
  readonly names: readonly string[];
  readonly sizeBytes: number;
  /** False: it stays. */
  readonly removed: boolean;
  /** Why it goes or stays. */
  readonly reason: string;
}

export interface VerifyReport {
  /** How many images, blobs and kernels were read. */
  readonly checked: number;
  readonly damages: readonly Damage[];
}

export interface Damage {
  readonly kind: "image" | "blob" | "kernel";
  /** The digest. */
  readonly id: string;
  /** What is wrong. */
  readonly problem: string;
  /** Of the images that it concerns. */
  readonly names: readonly string[];
  /** VMs that cannot start. */
  readonly vms: readonly string[];
  /** What to do. */
  readonly cure: string;
}

/** An image that can be made by name. */
export interface CatalogImage {
  readonly name: string;
  readonly description: string;
  /** Whether it was made already. */
  readonly here: boolean;
}

export interface Kernel {
  readonly name: string;
  /** sha256 of the kernel and its modules. */
  readonly id: string;
  /** `uname -r`, as far as it is known. */
  readonly release: string;
  /** Where it came from, for a person. */
  readonly source: string;
  readonly sizeBytes: number;
  /** The modules that guests load, in this order. */
  readonly modules: readonly string[];
  /** VMs that boot it, at most five. */
  readonly vms: readonly string[];
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** Why it cannot be booted, and the cure; then its other facts are empty. */
  readonly problem?: string | undefined;
}

/** A file, or the host's own kernel when there is no path. */
export interface ImportKernel {
  readonly name: string;
  /** An absolute path of a vmlinuz or vmlinux on the host. */
  readonly path?: string | undefined;
  /** An absolute path of its modules, such as /lib/modules/RELEASE. */
  readonly modulesDir?: string | undefined;
  /** What the file's checksum must be. */
  readonly sha256?: string | undefined;
}

export interface DaemonStatus {
  readonly pid: number;
  readonly version: string;
  /** Unix milliseconds. */
  readonly startedAt: number;
  readonly socket: string;
  readonly stateDir: string;
  /** Records. */
  readonly vms: number;
  readonly running: number;
  readonly rssBytes: number;
}

export interface DoctorReport {
  readonly rows: readonly DoctorRow[];
  /** What this host offers, for programs. */
  readonly capabilities: Readonly<Record<string, boolean | string>>;
}

export interface ConfigReport {
  /** The file. */
  readonly path: string;
  /** Whether there was one when the daemon started. */
  readonly exists: boolean;
  /** The file is another one since the daemon started. */
  readonly changed: boolean;
  /** Why no daemon could start with the file as it is now. */
  readonly problem?: string | undefined;
  readonly settings: readonly {
    /** Its dotted path in the file. */
    readonly key: string;
    /** As it would be written in the file. */
    readonly value: string | number;
    readonly origin: "variable" | "file" | "default";
    /** The environment variable that goes before the file. */
    readonly variable: string;
    readonly description: string;
  }[];
}

/** A line of an NDJSON answer: progress, then exactly one `result` or `error`. */
export type ProgressLine =
  | { readonly event: "begin"; readonly stage: string }
  | { readonly event: "end"; readonly stage: string; readonly ms: number }
  | { readonly event: "note"; readonly text: string }
  | {
      readonly event: "layer";
      readonly digest: string;
      readonly doneBytes: number;
      readonly totalBytes: number;
    }
  | { readonly event: "error"; readonly error: ErrorBody }
  | { readonly event: "result"; readonly result?: unknown };

/**
 * Text messages of the exec and run sockets, client to daemon. Binary messages are stdin. The client may send
 * 262,144 bytes of stdin, and more as `credit` comes in; it returns credit for output that it has consumed.
 */
export type ExecClientMessage =
  | { readonly type: "exec"; readonly exec: ExecRequest }
  | { readonly type: "run"; readonly run: RunRequest }
  /** Joins a detached command: its kept output first, then live; going away leaves it running. */
  | { readonly type: "attach"; readonly id: string }
  | { readonly type: "end" }
  | { readonly type: "resize"; readonly cols: number; readonly rows: number }
  | { readonly type: "signal"; readonly signal: string }
  /** Gives up whatever is under way; the last message comes when nothing of it is left. */
  | { readonly type: "cancel" }
  /** The command goes on without this client; one that has not started yet is an error. */
  | { readonly type: "detach" }
  | { readonly type: "credit"; readonly channel: 1 | 2; readonly bytes: number };

/**
 * Text messages of the exec and run sockets, daemon to client. Binary messages are output: one byte of channel (1
 * stdout, 2 stderr), then the bytes. The last message is `exit` or `error` (or, for a run without a command, `ready`).
 */
export type ExecServerMessage =
  | { readonly type: "progress"; readonly progress: ProgressLine }
  | { readonly type: "ready"; readonly vm: Vm }
  | { readonly type: "started" }
  | { readonly type: "credit"; readonly bytes: number }
  | {
      readonly type: "exit";
      readonly exitCode: number;
      readonly signal?: string;
      readonly timedOut?: boolean;
    }
  /** The command goes on without this client; the id is for `attach`. */
  | { readonly type: "detached"; readonly id: string }
  | { readonly type: "error"; readonly error: ErrorBody };

/** A client's messages on the socket of a guest stream; its data are binary messages, after `opened`. */
export type GuestStreamClientMessage =
  | { readonly type: "open"; readonly request: GuestStreamRequest }
  /** No more data. */
  | { readonly type: "end" }
  | { readonly type: "cancel" }
  /** So many bytes of the guest's data were consumed. */
  | { readonly type: "credit"; readonly bytes: number };

/** The daemon's messages there; the guest's data are binary messages. Ended by `result` or `error`. */
export type GuestStreamServerMessage =
  | { readonly type: "opened" }
  | { readonly type: "message"; readonly message: GuestStreamMessage }
  /** The guest took so many bytes of data. */
  | { readonly type: "credit"; readonly bytes: number }
  /** No more data of the guest. */
  | { readonly type: "end" }
  | { readonly type: "result"; readonly result: Readonly<Record<string, unknown>> }
  | { readonly type: "error"; readonly error: ErrorBody };

/** A disk that outlives VMs. */
export interface Volume {
  readonly name: string;
  readonly sizeBytes: number;
  /** What it takes of the host's disk. */
  readonly storedBytes: number;
  /** Unix milliseconds. */
  readonly createdAt: number;
  /** The VMs that name it, running or not. */
  readonly vms: readonly string[];
}

/** What is to be copied into a VM; see `WorkspaceWish` of the model. */
export type ImportWorkspace = WorkspaceWish;

/** A git work tree that was copied into a VM. */
export interface Workspace {
  /** The VM's id. */
  readonly vm: string;
  readonly hostPath: string;
  readonly guestPath: string;
  /** The commit that was checked out when it was sent. */
  readonly head?: string | undefined;
  readonly branch?: string | undefined;
  readonly readonly: boolean;
  /** Unix milliseconds. */
  readonly sentAt: number;
}

/** What a copy would bring. */
export interface WorkspacePreview {
  readonly hostPath: string;
  readonly guestPath: string;
  readonly head?: string | undefined;
  readonly branch?: string | undefined;
  /** Below the top; names with odd bytes quoted as git does it. */
  readonly files: readonly string[];
  /** Of the files, without the history. */
  readonly bytes: number;
  /** Branches and tags. */
  readonly refs: number;
  readonly notes: readonly string[];
}

export interface PullWorkspace {
  /** The branch on the host; default: `banger/` and the VM's name. */
  readonly branch?: string | undefined;
  /** Also when the branch would lose commits. */
  readonly force?: boolean | undefined;
}

/** What became of a pull. */
export interface PulledWorkspace {
  readonly branch: string;
  readonly head: string;
  /** Commits that the branch did not have. */
  readonly commits: number;
  /** Something in the guest is not committed, and did not come. */
  readonly uncommitted: boolean;
  readonly notes: readonly string[];
}

export interface SyncWorkspace {
  /** Also over what was changed in the guest. */
  readonly force?: boolean | undefined;
}

/** What a sync did. */
export interface SyncedWorkspace {
  readonly workspace: Workspace;
  /** Files that were sent. */
  readonly files: number;
  readonly removed: number;
  /** Everything that went to the guest. */
  readonly bytes: number;
  readonly notes: readonly string[];
}
