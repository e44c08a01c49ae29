/**
 * The host's end of a vsock device: a Unix socket on which `CONNECT <port>` is answered with `OK <host port>`
 * (src/vmm/src/devices/virtio/vsock/unix/muxer.rs). Nothing is answered while the guest does not run.
 */
import { existsSync, rmSync } from "node:fs";
import { connect, createServer, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Guest } from "./guest.ts";
import type { StubPlan, VsockFault } from "./plan.ts";
import type { Recorder } from "./record.ts";
import { Refusal } from "./refusal.ts";

/** The longest `CONNECT` line that is read. */
const MAX_LINE_BYTES = 32;
const FIRST_HOST_PORT = 1 << 30;
/** sockaddr_un (unix(7)). */
const MAX_PATH_BYTES = 107;

const BIND_FAULT =
  "Vsock config error: Cannot create backend for vsock device: Error binding to the host-side Unix socket: ";

export class VsockDevice {
  private readonly record: Recorder;
  private readonly fault: VsockFault | undefined;
  private readonly knockPort: number | undefined;
  private readonly pairs = new Map<Socket, Duplex>();
  private waiting: Socket[] = [];
  private server: Server | undefined;
  private path = "";
  private guest: Guest | undefined;
  private running = false;
  private refused = 0;
  private hostPort = FIRST_HOST_PORT;

  constructor(record: Recorder, plan: StubPlan) {
    this.record = record;
    this.fault = plan.vsock;
    this.knockPort = plan.knocks === true ? plan.port : undefined;
  }

  /** Binds at once; a second call replaces the first one's socket. `told` is the path in the caller's eyes. */
  async listen(path: string, told: string): Promise<void> {
    if (this.server !== undefined) {
      this.server.close();
      this.server = undefined;
      rmSync(this.path, { force: true });
    }
    if (Buffer.byteLength(told) > MAX_PATH_BYTES)
      throw new Refusal(`${BIND_FAULT}path must be shorter than SUN_LEN`);
    if (existsSync(path)) throw new Refusal(`${BIND_FAULT}Address already in use (os error 98)`);
    const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) =>
      this.accept(socket),
    );
    await new Promise<void>((resolve, reject) => {
      server.once("error", () => reject(new Refusal(`${BIND_FAULT}No such file or directory (os error 2)`)));
      server.listen(path, resolve);
    });
    this.server = server;
    this.path = path;
  }

  start(guest: Guest, options: { readonly restored: boolean }): void {
    this.guest = guest;
    this.resume();
    if (!options.restored && this.fault === undefined) void guest.ready.then(() => this.knock());
  }

  pause(): void {
    this.running = false;
    for (const [socket, peer] of this.pairs) {
      socket.unpipe(peer);
      socket.pause();
      peer.unpipe(socket);
    }
  }

  resume(): void {
    this.running = true;
    for (const [socket, peer] of this.pairs) join(socket, peer);
    for (const socket of this.waiting.splice(0)) this.serve(socket);
  }

  private accept(socket: Socket): void {
    socket.on("error", () => socket.destroy());
    if (this.running) this.serve(socket);
    else this.waiting.push(socket);
  }

  private serve(socket: Socket): void {
    let line = Buffer.alloc(0);
    const read = (bytes: Buffer): void => {
      line = Buffer.concat([line, bytes]);
      const end = line.indexOf("\n");
      if (end < 0 && line.byteLength < MAX_LINE_BYTES) return;
      socket.off("data", read);
      socket.pause();
      const port = /^connect\s+(\d+)\s*$/i.exec(line.subarray(0, Math.max(end, 0)).toString())?.[1];
      if (port === undefined) return this.refuse(socket, 0);
      void this.open(socket, { port: Number(port), rest: line.subarray(end + 1) });
    };
    socket.on("data", read);
    socket.resume();
  }

  private async open(
    socket: Socket,
    wanted: { readonly port: number; readonly rest: Uint8Array },
  ): Promise<void> {
    if (this.fault?.kind === "silent") return;
    if (this.fault?.kind === "garbage") return void socket.write("NO SUCH THING\0\xff\n", "latin1");
    const refuses = this.fault?.kind === "refuse" && this.refused++ < (this.fault.count ?? Infinity);
    const peer = refuses ? undefined : await this.guest?.open(wanted.port);
    if (peer === undefined) {
      this.refuse(socket, wanted.port);
      if (this.fault?.kind === "refuse" && this.refused === this.fault.count) this.knock();
      return;
    }
    this.record({ kind: "vsock", port: wanted.port, outcome: "ok" });
    socket.write(`OK ${this.hostPort++}\n`);
    peer.on("error", () => socket.destroy());
    socket.once("close", () => {
      this.pairs.delete(socket);
      peer.destroy();
    });
    peer.write(wanted.rest);
    this.pairs.set(socket, peer);
    if (this.running) join(socket, peer);
  }

  /** The guest dials the host (docs/vsock.md): a connection to a name beside the device's. */
  private knock(): void {
    if (this.knockPort === undefined || this.path === "") return;
    const path = `${this.path}_${this.knockPort}`;
    const socket = connect(path);
    const tell = (outcome: "heard" | "unheard"): void => {
      this.record({ kind: "knock", path, outcome });
      socket.destroy();
    };
    socket.once("connect", () => tell("heard"));
    socket.once("error", () => tell("unheard"));
  }

  /** What a connection gets that the guest resets: no word. */
  private refuse(socket: Socket, port: number): void {
    this.record({ kind: "vsock", port, outcome: "refused" });
    socket.destroy();
  }
}

function join(socket: Socket, peer: Duplex): void {
  socket.pipe(peer);
  peer.pipe(socket);
}
