/** The public index of the SDK. */
export type {
  CatalogImage,
  ConfigReport,
  CreateVm,
  DaemonStatus,
  Damage,
  DoctorReport,
  Exec,
  ExecRequest,
  Image,
  ImageDetails,
  ImportKernel,
  ImportWorkspace,
  Kernel,
  Listener,
  ProgressLine,
  PruneItem,
  PulledWorkspace,
  RunRequest,
  SetVm,
  SyncedWorkspace,
  Tty,
  VerifyReport,
  Vm,
  VmEvent,
  VmStats,
  Volume,
  Workspace,
  WorkspacePreview,
} from "../api/types.ts";
export { BangerError, type ErrorCode } from "../model/errors.ts";
export type { GuestEndpoint, GuestFileFacts, GuestStreamRequest } from "../model/guest-stream.ts";
export type { PortProtocol, PublishedPort, PublishedPortRef } from "../model/published-port.ts";
export { type CallOptions, Client, type LongCallOptions } from "./client.ts";
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
