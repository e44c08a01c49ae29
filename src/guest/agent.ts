/** The agent's requests with their types: what the host asks of a guest. */
import type { Duplex } from "node:stream";
import { BangerError } from "../model/errors.ts";
import type { GuestStreamRequest } from "../model/guest-stream.ts";
import type { GuestTreeRequest } from "../model/guest-tree.ts";
import type { GuestListener, GuestStats } from "../model/guest-use.ts";
import type { ExecSpec } from "../model/spec.ts";
import type { StepTiming } from "../model/vm.ts";
import { numberOf, parseEntries } from "./answers.ts";
import { execRequest, type GuestExec, GuestExecSchema, MAX_EXECS } from "./commands.ts";
import { AgentConnection, type ConnectOptions } from "./connection.ts";
import { type GuestConfig, parseSteps } from "./guest-config.ts";
import { type AgentFacts, LEAST_STREAMS } from "./handshake.ts";
import {
  type FreezeOptions,
  freezeGuest,
  freshEntropy,
  type GuestIdentity,
  type ResumedGuest,
  resumeGuest,
  thawGuest,
} from "./snapshot.ts";
import type { AgentStream, StreamHandlers } from "./stream.ts";
import { ListenerSchema, MAX_LISTENERS } from "./use.ts";
import { type WriteFileOptions, writeFile } from "./write-file.ts";

export interface GuestDial {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** Bytes that may be under way each way; an agent that is too old for it takes its own number. */
  readonly window: number;
}

export class Agent {
  readonly #connection: AgentConnection;
  /** Under way. */
  #stats: Promise<GuestStats> | undefined;

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
    return numberOf(await this.#request(execRequest(id, spec, true)), "pid");
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
    return numberOf(await this.#request({ kind: "grow", diskBytes }), "diskTotalBytes");
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

  /** Whoever asks while nobody was answered yet hears the same answer: a guest that is slow, or never answers, is asked once. */
  async stats(): Promise<GuestStats> {
    this.#stats ??= this.#askStats().finally(() => {
      this.#stats = undefined;
    });
    return await this.#stats;
  }

  async #askStats(): Promise<GuestStats> {
    const answer = await this.#request({ kind: "stats" });
    return {
      uptimeMs: numberOf(answer, "uptimeMs"),
      memoryTotalBytes: numberOf(answer, "memoryTotalBytes"),
      memoryAvailableBytes: numberOf(answer, "memoryAvailableBytes"),
      cpuMs: numberOf(answer, "cpuMs"),
      processes: numberOf(answer, "processes"),
      diskTotalBytes: numberOf(answer, "diskTotalBytes"),
      diskUsedBytes: numberOf(answer, "diskUsedBytes"),
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
