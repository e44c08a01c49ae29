/** The published ports of one VM that is up: listeners, and the connections that came through them. */
import type { Socket } from "node:net";
import type { AgentStream, StreamHandlers } from "../../guest/stream.ts";
import type { Clock } from "../../lib/clock.ts";
import { BangerError } from "../../model/errors.ts";
import { formatHostPort, formatPublished, type PublishedPort } from "../../model/published-port.ts";
import { carry } from "./carry.ts";
import { MAX_CONNECTIONS, SILENT_MS, windowOf } from "./limits.ts";
import { bindUdp, listenTcp } from "./listen.ts";
import { Peers } from "./peers.ts";
import { join, type Routed } from "./route.ts";

/** A port of a guest that is to be reached. */
export interface GuestPort {
  readonly protocol: "tcp" | "udp";
  readonly port: number;
  /** Bytes under way each way. */
  readonly window: number;
  /** Which of the VM's open connections it is, counted from 1. */
  readonly nth: number;
}

export interface VmPortsOptions {
  readonly clock: Clock;
  /** Nobody waits longer than this until the guest can be reached; undefined: as long as its start takes. */
  readonly heldMs?: number | undefined;
  /** Over the agent's channel, which reaches the guest's own loopback. */
  readonly dial: (target: GuestPort, handlers: StreamHandlers) => Promise<AgentStream>;
  /** To the guest's address, where the host has a route to it: tried first. Errors: those of `dial`. */
  readonly route: (port: number) => Promise<Routed>;
  readonly onProblem: (message: string, error?: BangerError) => void;
  /** One connection broke, or was refused in the guest. */
  readonly onBroken: (message: string, error: BangerError) => void;
}

export class VmPorts {
  readonly #options: VmPortsOptions;
  /** By what `formatPublished` says. */
  readonly #listeners = new Map<string, { close(): void }>();
  readonly #problems = new Map<string, string>();
  /** Opened once the guest can be reached: who comes earlier waits. */
  readonly #gate = Promise.withResolvers<void>();
  /** When ports of the guest may be tried again that did not answer at its address. */
  readonly #silentUntil = new Map<number, number>();
  #connections = 0;
  /** Whether it was said that there are too many. */
  #saidFull = false;
  #closed = false;

  constructor(options: VmPortsOptions) {
    this.#options = options;
    this.#gate.promise.catch(() => undefined);
  }

  /** Why ports that should be published are not. */
  get problems(): readonly string[] {
    return [...this.#problems.values()];
  }

  /** Listens on one more port; one that is listened on already is left alone. Errors: those of `listenTcp`. */
  async add(port: PublishedPort): Promise<void> {
    const key = formatPublished(port);
    if (this.#listeners.has(key)) return;
    try {
      const listener = port.protocol === "tcp" ? await this.#listen(port) : await this.#bind(port);
      this.#problems.delete(key);
      // The VM ended meanwhile.
      if (this.#closed) listener.close();
      else this.#listeners.set(key, listener);
    } catch (thrown) {
      this.#problems.set(key, BangerError.from(thrown).message);
      throw thrown;
    }
  }

  /** Listens on no others, and ends the connections that came through them. */
  keepOnly(ports: readonly PublishedPort[]): void {
    const kept = new Set(ports.map(formatPublished));
    for (const key of this.#problems.keys()) if (!kept.has(key)) this.#problems.delete(key);
    for (const [key, listener] of this.#listeners) {
      if (kept.has(key)) continue;
      listener.close();
      this.#listeners.delete(key);
    }
  }

  /** The guest can be reached. */
  open(): void {
    this.#gate.resolve();
  }

  /** Lets everything go. Safe to repeat. */
  close(): void {
    this.#closed = true;
    this.keepOnly([]);
    this.#gate.reject(new BangerError("cancelled", "the VM ended"));
  }

  async #listen(port: PublishedPort): Promise<{ close(): void }> {
    const sockets = new Set<Socket>();
    const server = await listenTcp(port, (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      this.#serve(socket, port);
    });
    server.on("error", (error) =>
      this.#options.onProblem(`${formatHostPort(port)} takes no connection`, BangerError.from(error)),
    );
    return {
      close: () => {
        server.close();
        for (const socket of sockets) breakOff(socket);
      },
    };
  }

  #serve(socket: Socket, port: PublishedPort): void {
    const taken = this.#take(port);
    if (taken === undefined) return void socket.resetAndDestroy();
    const { target, release } = taken;
    this.#join(socket, target)
      .catch((error: unknown) => this.#broke(port, BangerError.from(error)))
      .finally(release);
  }

  async #join(socket: Socket, target: GuestPort): Promise<void> {
    socket.on("error", () => undefined);
    const routed = await this.#route(target.port).catch((error: unknown) => {
      socket.resetAndDestroy();
      throw error;
    });
    // Who came has gone meanwhile.
    if (socket.destroyed) return void (typeof routed === "object" && routed.resetAndDestroy());
    if (typeof routed === "object") return await join(socket, routed);
    if (routed === "silent") this.#silentUntil.set(target.port, this.#options.clock.now() + SILENT_MS);
    await carry(socket, (handlers) => this.#options.dial(target, handlers), target.window);
  }

  async #route(port: number): Promise<Routed> {
    await this.#admitted();
    if (this.#options.clock.now() < (this.#silentUntil.get(port) ?? -Infinity)) return "none";
    return await this.#options.route(port);
  }

  /** Errors: `cancelled` (the VM ended), `timeout`. */
  async #admitted(): Promise<void> {
    const { clock, heldMs } = this.#options;
    if (heldMs === undefined) return await this.#gate.promise;
    const late = Promise.withResolvers<never>();
    const letGo = clock.after(heldMs, () =>
      late.reject(new BangerError("timeout", `the VM did not answer within ${heldMs / 1000} s`)),
    );
    try {
      await Promise.race([this.#gate.promise, late.promise]);
    } finally {
      letGo();
    }
  }

  async #bind(port: PublishedPort): Promise<{ close(): void }> {
    return new Peers(await bindUdp(port), {
      clock: this.#options.clock,
      open: (handlers) => {
        const taken = this.#take(port);
        if (taken === undefined) return undefined;
        return this.#openPeer(taken, handlers);
      },
      onProblem: (error) => this.#broke(port, error),
    });
  }

  async #openPeer({ target, release }: Taken, handlers: StreamHandlers): Promise<AgentStream> {
    try {
      await this.#admitted();
      const stream = await this.#options.dial(target, handlers);
      void stream.result.then(release, release);
      return stream;
    } catch (error) {
      release();
      throw error;
    }
  }

  /** Counts one more connection; undefined when there are too many. */
  #take(port: PublishedPort): Taken | undefined {
    if (this.#connections >= MAX_CONNECTIONS) {
      if (!this.#saidFull)
        this.#options.onProblem(`${formatHostPort(port)}: ${MAX_CONNECTIONS} connections are open already`);
      this.#saidFull = true;
      return undefined;
    }
    this.#saidFull = false;
    this.#connections += 1;
    let held = true;
    const release = (): void => {
      if (held) this.#connections -= 1;
      held = false;
    };
    const { protocol, guestPort } = port;
    const nth = this.#connections;
    return { target: { protocol, port: guestPort, window: windowOf(protocol, nth), nth }, release };
  }

  #broke(port: PublishedPort, error: BangerError): void {
    if (!this.#closed) this.#options.onBroken(`a connection to ${formatPublished(port)} broke`, error);
  }
}

interface Taken {
  readonly target: GuestPort;
  readonly release: () => void;
}

/** One that was told all is closed; another must not look as if it had been. */
function breakOff(socket: Socket): void {
  if (socket.writableFinished) socket.destroy();
  else socket.resetAndDestroy();
}
