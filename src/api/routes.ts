/** The route table: what each operation takes and gives. The server and the OpenAPI document are made from it. */
import { z } from "zod";
import type { OperationId } from "./paths.ts";
import { EmptySchema } from "./schemas/common.ts";
import { ExecListSchema, ExecRequestSchema, StartedExecSchema } from "./schemas/exec.ts";
import { ConfigReportSchema, DaemonStatusSchema, DoctorReportSchema } from "./schemas/host.ts";
import {
  CatalogSchema,
  CommitImageSchema,
  ImageDetailsSchema,
  PruneImagesSchema,
  PruneReportSchema,
  TagImageSchema,
  VerifyReportSchema,
} from "./schemas/image-care.ts";
import {
  ExportImageQuerySchema,
  ImageListSchema,
  ImageSchema,
  ImportImageSchema,
  PullImageSchema,
} from "./schemas/images.ts";
import {
  ImportKernelSchema,
  KernelListSchema,
  KernelSchema,
  RemovedKernelSchema,
} from "./schemas/kernels.ts";
import { NetworkCheckSchema, NetworkReportSchema, NetworkVerdictSchema } from "./schemas/network.ts";
import {
  CreateSnapshotSchema,
  ForksSchema,
  ForkVmSchema,
  RestoreVmSchema,
  SnapshotListSchema,
  SnapshotSchema,
} from "./schemas/snapshots.ts";
import { SshDoorSchema, SshKeysSchema } from "./schemas/ssh.ts";
import { PrunedSchema, TemplateListSchema, TemplateSchema } from "./schemas/templates.ts";
import { ListenerListSchema, StatsListSchema } from "./schemas/use.ts";
import {
  CreateVmSchema,
  KillVmSchema,
  SetVmSchema,
  StopVmSchema,
  VmListSchema,
  VmSchema,
} from "./schemas/vms.ts";
import { CreateVolumeSchema, SetVolumeSchema, VolumeListSchema, VolumeSchema } from "./schemas/volumes.ts";

import {
  ExportWorkspaceQuerySchema,
  ImportWorkspaceSchema,
  PulledWorkspaceSchema,
  PullWorkspaceSchema,
  SyncedWorkspaceSchema,
  SyncWorkspaceSchema,
  WorkspacePreviewSchema,
  WorkspaceSchema,
} from "./schemas/workspaces.ts";

export interface RouteContract {
  readonly summary: string;
  readonly body?: z.ZodType;
  /** Query parameters: strings in the URL, parsed by the schema; unknown ones are refused. */
  readonly query?: z.ZodType;
  /** The answer, or the `result` of a `progress` route. */
  readonly answer: z.ZodType;
}

const Flag = z.enum(["true", "false"]).optional();

/** Query of `vm.create`. */
export const CreateQuerySchema: z.ZodType<{
  start?: "true" | "false" | undefined;
  cold?: "true" | "false" | undefined;
}> = z.strictObject({ start: Flag, cold: Flag });
/** Query of `vm.start`. */
export const StartQuerySchema: z.ZodType<{ cold?: "true" | "false" | undefined }> = z.strictObject({
  cold: Flag,
});
/** Query of `vm.remove`. */
export const RemoveQuerySchema: z.ZodType<{ force?: "true" | "false" | undefined }> = z.strictObject({
  force: Flag,
});

/** Query of `events`. */
export const EventsQuerySchema: z.ZodType<{ after?: string | undefined }> = z.strictObject({
  after: z
    .string()
    .regex(/^\d{1,15}$/)
    .optional(),
});

export const ROUTES: Readonly<Record<OperationId, RouteContract>> = {
  "daemon.status": { summary: "The daemon's state", answer: DaemonStatusSchema },
  "daemon.stop": { summary: "Ends the daemon; running VMs live on", answer: EmptySchema },
  openapi: { summary: "This document", answer: z.unknown() },
  metrics: { summary: "What the daemon counts, in Prometheus' text format", answer: z.string() },
  doctor: { summary: "What works on this host, what does not, and the cure", answer: DoctorReportSchema },
  config: {
    summary: "Every key of the configuration, and where its value came from",
    answer: ConfigReportSchema,
  },
  "vm.list": { summary: "All VMs, oldest first", answer: VmListSchema },
  "vm.create": {
    summary: "Makes a VM, and starts it unless start=false; cold=true boots it without a template",
    query: CreateQuerySchema,
    body: CreateVmSchema,
    answer: VmSchema,
  },
  "vm.show": { summary: "One VM, by name, id or unambiguous id prefix", answer: VmSchema },
  "vm.start": {
    summary: "Starts a stopped VM; does nothing for a running one; cold=true boots without a template",
    query: StartQuerySchema,
    answer: VmSchema,
  },
  "vm.stop": {
    summary: "Powers the guest off and waits; what it wrote is on disk",
    body: StopVmSchema,
    answer: VmSchema,
  },
  "vm.restart": {
    summary: "Stops a VM as vm.stop does, and boots it anew",
    body: StopVmSchema,
    answer: VmSchema,
  },
  "vm.kill": {
    summary: "Ends a VM's process at once; what was not synced is lost",
    body: KillVmSchema,
    answer: VmSchema,
  },
  "vm.pause": { summary: "Stops a VM's vCPUs", answer: VmSchema },
  "vm.resume": { summary: "Lets the vCPUs of a paused VM go on", answer: VmSchema },
  "vm.set": {
    summary: "Changes name, size or network; what a running VM cannot take waits for its next start",
    body: SetVmSchema,
    answer: VmSchema,
  },
  "vm.wait": { summary: "Answers when a VM is stopped, or in error", answer: VmSchema },
  "vm.ports": { summary: "The sockets that listen in a VM", answer: ListenerListSchema },
  "vm.execs": { summary: "A VM's detached commands", answer: ExecListSchema },
  "vm.execDetached": {
    summary: "Runs a command in a VM that belongs to no client; its last MiB of output is kept",
    body: ExecRequestSchema,
    answer: StartedExecSchema,
  },
  "vm.follow": {
    summary: "A VM's console output as it comes (WebSocket: binary messages)",
    answer: z.unknown(),
  },
  stats: { summary: "What the live VMs use now", answer: StatsListSchema },
  events: {
    summary: "What happens to VMs (WebSocket: one VmEvent a text message), after a cursor or from now on",
    query: EventsQuerySchema,
    answer: z.unknown(),
  },
  "vm.remove": {
    summary: "Deletes a VM and its disk; force=true also a running one",
    query: RemoveQuerySchema,
    answer: VmSchema,
  },
  "vm.logs": { summary: "The guest's console output, at most the last MiB", answer: z.string() },
  "vm.exec": { summary: "Runs a command in a VM (WebSocket: ExecClientMessage first)", answer: z.unknown() },
  "vm.stream": {
    summary: "Files and connections of a VM (WebSocket: GuestStreamClientMessage first)",
    answer: z.unknown(),
  },
  run: {
    summary: "Makes a VM, runs a command in it (WebSocket: ExecClientMessage first)",
    answer: z.unknown(),
  },
  "network.show": {
    summary: "The network of this user's VMs, and why it is as it is",
    answer: NetworkReportSchema,
  },
  "network.down": {
    summary: "Removes the network's namespace; refused while VMs use it",
    answer: EmptySchema,
  },
  "network.check": {
    summary: "Whether a VM may reach a target, and which rule says so",
    body: NetworkCheckSchema,
    answer: NetworkVerdictSchema,
  },
  "image.list": { summary: "The images known by name", answer: ImageListSchema },
  "image.pull": {
    summary: "Fetches or builds an image of the catalog",
    body: PullImageSchema,
    answer: ImageSchema,
  },
  "image.import": {
    summary: "Makes an image of what a tar holds: docker save, an OCI layout, a root file system",
    body: ImportImageSchema,
    answer: ImageSchema,
  },
  "image.export": {
    summary: "An image as a tar: an OCI layout that docker load takes too, or its root file system",
    query: ExportImageQuerySchema,
    answer: z.string(),
  },
  "image.remove": {
    summary: "Forgets an image name, and its content when nothing else uses it",
    answer: ImageSchema,
  },
  "image.show": {
    summary: "One image: what it runs, what it is made of, who uses it",
    answer: ImageDetailsSchema,
  },
  "image.tag": {
    summary: "Gives an image another name; what that stood for goes when nothing else uses it",
    body: TagImageSchema,
    answer: ImageSchema,
  },
  "image.prune": {
    summary: "Removes images and blobs that nothing uses, and says why the others stay",
    body: PruneImagesSchema,
    answer: PruneReportSchema,
  },
  "image.verify": {
    summary: "Reads all images, blobs and kernels, and says which are not what their digests say",
    answer: VerifyReportSchema,
  },
  "image.commit": {
    summary: "Makes an image of a stopped or running VM: its image, and what it wrote, as one more layer",
    body: CommitImageSchema,
    answer: ImageSchema,
  },
  catalog: { summary: "The images that can be made by name", answer: CatalogSchema },
  "kernel.list": { summary: "The kernels known by name", answer: KernelListSchema },
  "kernel.show": { summary: "One kernel, and which VMs boot it", answer: KernelSchema },
  "kernel.pull": {
    summary: "Fetches Debian's current cloud kernel, which is the default",
    answer: KernelSchema,
  },
  "kernel.import": {
    summary: "Takes over a kernel from files, or the host's own",
    body: ImportKernelSchema,
    answer: KernelSchema,
  },
  "kernel.remove": { summary: "Forgets a kernel that no VM boots", answer: RemovedKernelSchema },
  "volume.list": { summary: "All volumes, by name", answer: VolumeListSchema },
  "volume.create": { summary: "Makes an empty volume", body: CreateVolumeSchema, answer: VolumeSchema },
  "volume.show": { summary: "One volume, and who has it", answer: VolumeSchema },
  "volume.set": {
    summary: "Makes a volume larger that no running VM has",
    body: SetVolumeSchema,
    answer: VolumeSchema,
  },
  "volume.remove": { summary: "Deletes a volume that no VM names, and what is on it", answer: VolumeSchema },
  "ssh.keys": { summary: "The key that opens VMs over SSH, made when it is missing", answer: SshKeysSchema },
  "vm.sshDoor": {
    summary: "What an SSH server of a running VM is made with: its host key, and who may enter",
    answer: SshDoorSchema,
  },
  "vm.fork": {
    summary: "Makes VMs that go on from where a running one is",
    body: ForkVmSchema,
    answer: ForksSchema,
  },
  "vm.restore": {
    summary: "Takes a VM back to a snapshot of it",
    body: RestoreVmSchema,
    answer: VmSchema,
  },
  "snapshot.create": {
    summary: "Saves a VM as it is now; a running one goes on",
    body: CreateSnapshotSchema,
    answer: SnapshotSchema,
  },
  "snapshot.list": { summary: "All snapshots, oldest first", answer: SnapshotListSchema },
  "snapshot.show": { summary: "One snapshot, by name or id", answer: SnapshotSchema },
  "snapshot.remove": { summary: "Deletes a snapshot; VMs made from it live on", answer: SnapshotSchema },
  "workspace.preview": {
    summary: "What a copy of a git work tree would bring into a VM; nothing is made",
    body: ImportWorkspaceSchema,
    answer: WorkspacePreviewSchema,
  },
  "workspace.import": {
    summary: "Copies a git work tree with its history into a running VM",
    body: ImportWorkspaceSchema,
    answer: WorkspaceSchema,
  },
  "workspace.show": { summary: "The git work tree that a VM has a copy of", answer: WorkspaceSchema },
  "workspace.pull": {
    summary: "Takes the commits of a VM's workspace over as a branch of the host's repository",
    body: PullWorkspaceSchema,
    answer: PulledWorkspaceSchema,
  },
  "workspace.sync": {
    summary: "Sends what is new in the host's work tree to a VM's workspace",
    body: SyncWorkspaceSchema,
    answer: SyncedWorkspaceSchema,
  },
  "workspace.export": {
    summary: "What was done in a VM's workspace, as a patch for git apply --index",
    query: ExportWorkspaceQuerySchema,
    answer: z.string(),
  },
  "template.list": {
    summary: "The templates for warm starts, the one used last first",
    answer: TemplateListSchema,
  },
  "template.remove": { summary: "Removes a template; what runs lives on", answer: TemplateSchema },
  "template.prune": {
    summary: "Removes all templates; they are made anew when missed",
    answer: PrunedSchema,
  },
};
