/** What a stub shall do, and what it writes down: the two files between a test and the stub's processes. */

/** `echo`: sends back what it gets. `agent`: the real agent. `none`: boots, listens nowhere. `quit`: powers off at once. */
export type GuestKind = "echo" | "agent" | "none" | "quit";

export interface StubPlan {
  readonly version: string;
  readonly guest: GuestKind;
  /** The agent's binary; for `agent` only. */
  readonly agentPath?: string;
  /** The only vsock port with a listener in the guest; any when left out. */
  readonly port?: number;
  /**
   * The guest connects once to the host's `port` (`<uds_path>_<port>`) as soon as it listens there: after its boot, or after
   * the refusals that `vsock` orders. Not after a restore, when it listens already.
   */
  readonly knocks?: boolean;
  /** What goes wrong before the API is there: it ends with last words, or lives without ever listening. */
  readonly start?: StartFault;
  readonly faults: readonly FaultRule[];
  readonly vsock?: VsockFault;
  /** Where every process of this stub writes its records. */
  readonly recordPath: string;
  readonly dir: string;
}

export type StartFault =
  | { readonly kind: "exit"; readonly code: number; readonly words: string }
  | { readonly kind: "no-socket" };

export interface FaultRule {
  /** `METHOD /path`, or `*` for any request. */
  readonly on: string;
  /** Only the n-th such request, from 1; every one when left out. */
  readonly nth?: number;
  readonly do: Misdeed;
}

export type Misdeed =
  /** Refused with these words; nothing is applied. */
  | { readonly kind: "refuse"; readonly message: string; readonly status?: number }
  /** The process ends instead of answering, or right after the answer is sent. */
  | { readonly kind: "die"; readonly code?: number; readonly words?: string; readonly after?: boolean }
  | { readonly kind: "slow"; readonly ms: number }
  /** Applied, never answered. */
  | { readonly kind: "silent" }
  /** The answer ends after so many bytes, and so does the connection. */
  | { readonly kind: "cut"; readonly bytes: number }
  /** These bytes instead of an answer. */
  | { readonly kind: "raw"; readonly text: string }
  /** Proper HTTP with this body. */
  | { readonly kind: "body"; readonly text: string; readonly status?: number }
  /** 204, and nothing was applied. */
  | { readonly kind: "lie" }
  /** 200 with a string of so many bytes as its body. */
  | { readonly kind: "huge"; readonly bytes: number };

export type VsockFault =
  /** Hangs up on everybody, or on the first `count`, as when nobody listens in the guest. */
  | { readonly kind: "refuse"; readonly count?: number }
  | { readonly kind: "silent" }
  /** Noise instead of `OK <port>`. */
  | { readonly kind: "garbage" };

interface Stamp {
  /** Epoch time, with a fraction. */
  readonly atMs: number;
  readonly pid: number;
}

export type StubEvent =
  | { readonly kind: "start"; readonly argv: readonly string[]; readonly chroot: string }
  | { readonly kind: "listening"; readonly path: string }
  | RequestEvent
  | { readonly kind: "jailer"; readonly argv: readonly string[]; readonly chroot: string }
  | { readonly kind: "violation"; readonly message: string }
  | { readonly kind: "vsock"; readonly port: number; readonly outcome: "ok" | "refused" }
  | { readonly kind: "knock"; readonly path: string; readonly outcome: "heard" | "unheard" }
  | { readonly kind: "exit"; readonly code: number; readonly why: string };

export interface RequestEvent {
  readonly kind: "request";
  readonly method: string;
  readonly path: string;
  /** Parsed; undefined without one or when it was no JSON. */
  readonly body?: unknown;
  /** Undefined when no proper answer was sent. */
  readonly status?: number;
  readonly answer?: unknown;
  readonly beganAtMs: number;
  readonly endedAtMs: number;
  /** Counted from 1. */
  readonly connection: number;
}

export type StubRecord = StubEvent & Stamp;
