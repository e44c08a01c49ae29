/** The public index of the SDK. */
export type {
  ConfigReport,
  CreateVm,
  DaemonStatus,
  DoctorReport,
  Exec,
  ExecRequest,
  Image,
  Listener,
  ProgressLine,
  RunRequest,
  SetVm,
  Tty,
  Vm,
  VmEvent,
  VmStats,
} from "../api/types.ts";
export { BangerError, type ErrorCode } from "../model/errors.ts";
export { type CallOptions, Client, type LongCallOptions } from "./client.ts";
export { Command, type CommandListener, type Exit } from "./command.ts";
