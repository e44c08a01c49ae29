/** The agent's requests with their types: what the host asks of a guest. */

import type { Duplex } from "node:stream";
import { z } from "zod";
import { BangerError } from "../model/errors.ts";
import type { GuestStreamRequest } from "../model/guest-stream.ts";
import type { GuestTreeRequest } from "../model/guest-tree.ts";
import type { GuestMount } from "../model/machine.ts";
import type { ExecSpec } from "../model/spec.ts";
import type { StepTiming } from "../model/vm.ts";
import { AgentConnection, type ConnectOptions } from "./connection.ts";
import { type AgentFacts, LEAST_STREAMS } from "./handshake.ts";
import {
  type FreezeOptions,
  freezeGuest,
  freshEntropy,
  type GuestCard,
  type GuestIdentity,
  type ResumedGuest,
  resumeGuest,
  thawGuest,
} from "./snapshot.ts";
import type { AgentStream, StreamHandlers } from "./stream.ts";
import { type WriteFileOptions, writeFile } from "./write-file.ts";

/** What the agent is told once, before anything runs. Field for field the `configure` request of the protocol. */
export interface GuestConfig {
  readonly hostname: string;
  readonly init: "agent" | "systemd";
  /** Of `systemd`: the init and its arguments; absent: where inits usually are. */
  readonly initArgv?: readonly string[];
  /** 32 hexadecimal digits for /etc/machine-id; without it the image's stays. */
  readonly machineId?: string;
  readonly rootfs: { readonly disk: string; readonly type: "squashfs" };
  readonly writable: { readonly disk: string; readonly type: "ext4" };
  readonly env: Readonly<Record<string, string>>;
  readonly hosts: readonly { readonly address: string; readonly names: readonly string[] }[];
  /** Absolute paths that are made where they are missing. */
  readonly directories?: readonly string[];
  readonly mounts: readonly GuestMount[];
  readonly network?: GuestCard | undefined;
  readonly nameservers?: readonly string[] | undefined;
  readonly search?: readonly string[] | undefined;
  readonly poweroff: "acpi" | "reset";
}

export interface GuestStats {
  readonly uptimeMs: number;
  readonly memoryTotalBytes: number;
  readonly memoryAvailableBytes: number;
  readonly cpuMs: number;
  readonly processes: number;
  readonly diskTotalBytes: number;
  readonly diskUsedBytes: number;
}

/** A socket that listens in the guest. */
export interface GuestListener {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
  readonly pid?: number | undefined;
  readonly command?: string | undefined;
}

export interface GuestDial {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** Bytes that may be under way each way; an agent that is too old for it takes its own number. */
  readonly window: number;
}

/** So many listeners are taken from one answer (the protocol's own bound). */
const MAX_LISTENERS = 1_024;

const ListenerSchema: z.ZodType<GuestListener> = z.object({
  protocol: z.enum(["tcp", "udp"]),
  address: z.string().max(64),
  port: z.int().min(1).max(65_535),
  pid: z.int().optional(),
  command: z
    .string()
    .max(256)
    .regex(/^[ -~]*$/)
    .optional(),
});

/** A command that the agent runs or remembers. */
export interface GuestExec {
  readonly id: string;
  readonly pid: number;
  readonly argv: readonly string[];
  readonly startedMs: number;
  readonly running: boolean;
  /** On a terminal. Absent: the agent is too old to tell. */
  readonly tty?: boolean | undefined;
  readonly exitCode?: number | undefined;
  readonly signal?: string | undefined;
}

/** So many commands are taken from one answer (MAX_EXECS of the protocol). */
const MAX_EXECS = 512;

const GuestExecSchema: z.ZodType<GuestExec> = z.object({
  id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/),
  pid: z.int().min(1),
  argv: z.array(z.string().max(4096)).max(4096),
  startedMs: z.number().min(0),
  running: z.boolean(),
  tty: z.boolean().optional(),
  exitCode: z.int().min(0).max(255).optional(),
  signal: z
    .string()
    .regex(/^[A-Z0-9+]{1,16}$/)
    .optional(),
});

/** How a guest command, or its stream, ended. */
export type ExecResult =
  /** It goes on by itself, under this id. */
  | { readonly kind: "detached"; readonly id: string }
  | { readonly kind: "exited"; readonly exitCode: number }
  | { readonly kind: "signalled"; readonly signal: string; readonly timedOut: boolean };

export class Agent {
  readonly #connection: AgentConnection;

  private constructor(connection: AgentConnection) {
    this.#connection = connection;
  }

  /** Greets the agent on `channel`; see `AgentConnection.open`. */
  static async connect(channel: Duplex, options: ConnectOptions): Promise<Agent> {
    return new Agent(await AgentConnection.open(channel, options));
  }

  get facts(): AgentFacts {
    return this.#connection.facts;
  }

  get responsive(): boolean {
    return this.#connection.responsive;
  }

  get closed(): Promise<BangerError> {
    return this.#connection.closed;
  }

  /** As `AgentConnection.close`. */
  close(reason?: BangerError): void {
    this.#connection.close(reason);
  }

  /** Mounts the root and applies the configuration; once per boot. Returns the guest's own steps. */
  async configure(config: GuestConfig): Promise<readonly StepTiming[]> {
    const now = { unixTimeMs: Date.now(), entropy: freshEntropy() };
    const answer = await this.#request({ kind: "configure", ...config, ...now });
    return parseSteps(answer["steps"]);
  }

  /**
   * Starts a command. The stream's `result` is for `parseExecResult`. Errors come through it: `guest_error` with
   * `details.guestCode` `command_not_found`, `invalid_argument` for a user or directory that the guest does not have.
   */
  exec(id: string, spec: ExecSpec, handlers: StreamHandlers): AgentStream {
    return this.#connection.openStream(execRequest(id, spec, false), handlers);
  }

  /** Starts a command that belongs to no stream; returns its pid. Errors: those of `exec`. */
  async execDetached(id: string, spec: ExecSpec): Promise<number> {
    return number(await this.#request(execRequest(id, spec, true)), "pid");
  }

  /** Joins a detached command: kept output, then live; giving the stream up leaves it running. Errors: `not_found`. */
  attach(id: string, handlers: StreamHandlers): AgentStream {
    return this.#connection.openStream({ kind: "attach", id }, handlers);
  }

  /** The commands that the agent knows: all that run, and detached ones that ended and were not looked at. */
  async execs(): Promise<readonly GuestExec[]> {
    const { execs } = await this.#request({ kind: "ps" });
    return parseEntries(execs, GuestExecSchema, MAX_EXECS);
  }

  /**
   * Writes a file, all or nothing; missing directories are made, a link in its place is replaced. Returns its size in bytes.
   * Errors: the guest's, naming the path (`permission_denied`, `resource_exhausted`, `failed_precondition`); `unsupported` from
   * an agent that is too old; `timeout`, `cancelled`; those of `content`.
   */
  async writeFile(path: string, options: WriteFileOptions): Promise<number> {
    return await writeFile(
      (request, handlers) => this.#connection.openStream(request, handlers),
      path,
      options,
    );
  }

  /** Opens a stream to files or connections of the guest. Errors come through its result. */
  openStream(
    { type, ...rest }: GuestStreamRequest | GuestTreeRequest,
    handlers: StreamHandlers,
  ): AgentStream {
    return this.#connection.openStream({ kind: type, ...rest }, handlers);
  }

  /** Whether it knows small windows, and so can have thousands of streams without thousands of windows. */
  get takesManyStreams(): boolean {
    return this.#connection.facts.streams > LEAST_STREAMS;
  }

  /** Streams that it serves at once. */
  get streams(): number {
    return this.#connection.facts.streams;
  }

  /**
   * Connects to a port of the guest's loopback; for `udp` each piece of data is one datagram. Errors come through the stream's
   * result: `failed_precondition` (nobody listens), `unsupported` from an agent that is too old for datagrams.
   */
  dial({ protocol, port, window }: GuestDial, handlers: StreamHandlers): AgentStream {
    const kind = protocol === "tcp" ? "dial" : "datagrams";
    if (!this.takesManyStreams) return this.#connection.openStream({ kind, port }, handlers);
    return this.#connection.openStream({ kind, port, window }, handlers, window);
  }

  /** Gives the guest a way out without a network card. Errors come through the result: `unsupported` (an old agent, a kernel without TUN). */
  openEgress(
    place: { readonly address: string; readonly gateway: string },
    handlers: StreamHandlers,
  ): AgentStream {
    return this.#connection.openStream({ kind: "egress", ...place }, handlers);
  }

  /** Takes a connection that the way out has asked for. Errors come through the result: `not_found`. */
  takeFlow(flow: { readonly id: number; readonly window: number }, handlers: StreamHandlers): AgentStream {
    return this.#connection.openStream({ kind: "take", ...flow }, handlers, flow.window);
  }

  /** Makes the writable file system as large as its disk, which has `diskBytes`; does nothing when it is. Returns its size. */
  async grow(diskBytes: number): Promise<number> {
    return number(await this.#request({ kind: "grow", diskBytes }), "diskTotalBytes");
  }

  /** As `freezeGuest`. */
  async freeze(options: FreezeOptions): Promise<void> {
    await freezeGuest((request) => this.#request(request), options);
  }

  /** As `thawGuest`. */
  async thaw(): Promise<void> {
    await thawGuest((request) => this.#request(request));
  }

  /** As `resumeGuest`. */
  async resumed(identity: GuestIdentity): Promise<ResumedGuest> {
    return await resumeGuest((request) => this.#request(request), identity);
  }

  /** The sockets that listen in the guest. */
  async listeners(): Promise<readonly GuestListener[]> {
    const { listeners } = await this.#request({ kind: "listeners" });
    return parseEntries(listeners, ListenerSchema, MAX_LISTENERS);
  }

  async stats(): Promise<GuestStats> {
    const answer = await this.#request({ kind: "stats" });
    return {
      uptimeMs: number(answer, "uptimeMs"),
      memoryTotalBytes: number(answer, "memoryTotalBytes"),
      memoryAvailableBytes: number(answer, "memoryAvailableBytes"),
      cpuMs: number(answer, "cpuMs"),
      processes: number(answer, "processes"),
      diskTotalBytes: number(answer, "diskTotalBytes"),
      diskUsedBytes: number(answer, "diskUsedBytes"),
    };
  }

  /** Stops every process, syncs, unmounts; when it resolves, everything written is on disk and the power goes off. */
  async poweroff(graceMs: number): Promise<void> {
    await this.#request({ kind: "poweroff", graceMs });
  }

  async #request(request: Readonly<Record<string, unknown>>): Promise<Readonly<Record<string, unknown>>> {
    return await this.#connection.openStream(request).result;
  }
}

function execRequest(id: string, spec: ExecSpec, detach: boolean): Readonly<Record<string, unknown>> {
  return { kind: "exec", id, ...spec, tty: spec.tty ?? null, detach };
}

/** Entries that make no sense are left out: the guest makes them up at its own risk. */
function parseEntries<T>(value: unknown, schema: z.ZodType<T>, limit: number): T[] {
  if (!Array.isArray(value)) throw new BangerError("guest_error", "the guest agent's list is none");
  return value.slice(0, limit).flatMap((entry: unknown) => {
    const parsed = schema.safeParse(entry);
    return parsed.success ? [parsed.data] : [];
  });
}

/** Reads the `ok` of an exec. Errors: `guest_error`. */
export function parseExecResult(ok: Readonly<Record<string, unknown>>): ExecResult {
  const { exitCode, signal } = ok;
  if (typeof exitCode === "number" && Number.isInteger(exitCode) && exitCode >= 0 && exitCode <= 255) {
    return { kind: "exited", exitCode };
  }
  if (typeof signal === "string" && /^[A-Z0-9+]{1,16}$/.test(signal)) {
    return { kind: "signalled", signal, timedOut: ok["timedOut"] === true };
  }
  const { detached } = ok;
  if (typeof detached === "string" && /^[A-Za-z0-9_-]{1,64}$/.test(detached)) {
    return { kind: "detached", id: detached };
  }
  throw new BangerError("guest_error", "the guest agent ended a command without a result");
}

function parseSteps(value: unknown): StepTiming[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, 32).flatMap((step: unknown) => {
    const { name, ms } = (typeof step === "object" && step !== null ? step : {}) as {
      name?: unknown;
      ms?: unknown;
    };
    return typeof name === "string" && /^[a-z0-9 _-]{1,32}$/.test(name) && typeof ms === "number"
      ? [{ name, ms }]
      : [];
  });
}

function number(answer: Readonly<Record<string, unknown>>, field: string): number {
  const value = answer[field];
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  throw new BangerError("guest_error", `the guest agent's statistics lack ${field}`);
}
