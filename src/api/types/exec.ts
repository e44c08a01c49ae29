/** Bodies and socket messages of commands in guests. */
import type { ErrorBody } from "../../model/errors.ts";
import type { Builtin } from "../../model/spec.ts";
import type { ProgressLine } from "./progress.ts";
import type { RunRequest, Vm } from "./vms.ts";

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
  /** What the guest's agent itself runs in place of `argv`, which is for agents that are too old for it. */
  readonly builtin?: Builtin | undefined;
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
