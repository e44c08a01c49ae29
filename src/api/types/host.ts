/** Bodies about the daemon and its host. */
import type { DoctorRow } from "../../model/doctor.ts";

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
