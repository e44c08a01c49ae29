/** The public index of the SDK. */
export type { Exec, ExecRequest, Tty } from "../api/types/exec.ts";
export type { ConfigReport, DaemonStatus, DoctorReport } from "../api/types/host.ts";
export type { CatalogImage, Damage, ImageDetails, PruneItem, VerifyReport } from "../api/types/image-care.ts";
export type { Image } from "../api/types/images.ts";
export type { ImportKernel, Kernel } from "../api/types/kernels.ts";
export type { ProgressLine } from "../api/types/progress.ts";
export type { Listener, VmStats } from "../api/types/use.ts";
export type { CreateVm, RunRequest, SetVm, Vm, VmEvent } from "../api/types/vms.ts";
export type { Volume } from "../api/types/volumes.ts";
export type {
  ImportWorkspace,
  PulledWorkspace,
  SyncedWorkspace,
  Workspace,
  WorkspaceBootstrap,
  WorkspacePreview,
} from "../api/types/workspaces.ts";
export { BangerError, type ErrorCode } from "../model/errors.ts";
export type { GuestEndpoint, GuestFileFacts, GuestStreamRequest } from "../model/guest-stream.ts";
export type { PortProtocol, PublishedPort, PublishedPortRef } from "../model/published-port.ts";
export type { CallOptions, LongCallOptions } from "./calls.ts";
export { Client } from "./client.ts";
export { Command, type CommandListener, type Exit } from "./command.ts";
export type { CopyOptions, CopyResult, GuestAccess } from "./files/access.ts";
export { copyBetween, type GuestPath } from "./files/copy-between.ts";
export { GuestFiles } from "./files/guest-files.ts";
export {
  type Forward,
  type ForwardOptions,
  forwardFromGuest,
  forwardToGuest,
  type HostTarget,
} from "./forward.ts";
export { GuestStream, type GuestStreamOptions } from "./guest-stream.ts";
