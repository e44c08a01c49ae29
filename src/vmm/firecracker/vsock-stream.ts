/**
 * A byte stream to a vsock port of the guest. Firecracker offers the guest's ports behind one Unix socket: the client says
 * `CONNECT <port>`, hears `OK <its own port>`, and from then on talks with the guest; where nobody listens it is hung up on
 * (Firecracker's docs/vsock.md). Before the guest's driver is up, nothing is answered at all.
 */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { connectUnix } from "../../lib/unix-door.ts";
import { BangerError } from "../../model/errors.ts";
import type { Knocks } from "./knocks.ts";

/** `OK 4294967295\n`. */
const MAX_GREETING_BYTES = 14;
const GREETING = /^OK [0-9]{1,10}\n$/;

export interface VsockTarget {
  readonly socketPath: string;
  readonly port: number;
  /** Says when it is worth trying again after a refusal. */
  readonly knocks: Knocks;
}

/**
 * Resolves when Firecracker has accepted us, whether or not the guest is there yet: what is written waits for it. The stream
 * ends when the guest's end does, and fails with `guest_error` when the answer is no greeting. Errors: `unavailable`.
 */
export async function openVsockStream(target: VsockTarget): Promise<Duplex> {
  const stream = new VsockStream(target);
  await stream.dial();
  return stream;
}

class VsockStream extends Duplex {
  private readonly target: VsockTarget;
  private socket: Socket | undefined;
  private greeting = "";
  private greeted = false;
  private knocksSeen = 0;
  /** The write that waits for the greeting; Node gives us one at a time. */
  private waiting: (() => void) | undefined;

  constructor(target: VsockTarget) {
    super({ allowHalfOpen: false });
    this.target = target;
  }

  /** Connects and asks for the port. Errors: `unavailable`. */
  async dial(): Promise<void> {
    this.knocksSeen = this.target.knocks.count;
    const socket = await connectUnix(this.target.socketPath);
    if (this.destroyed) {
      socket.destroy();
      return;
    }
    this.socket = socket;
    this.greeting = "";
    socket.on("data", (chunk: Buffer) => this.receive(chunk));
    socket.on("drain", () => this.release());
    socket.on("error", (error) => {
      if (this.greeted) this.destroy(error);
    });
    socket.on("close", () => this.hungUp(socket));
    socket.write(`CONNECT ${this.target.port}\n`);
  }

  override _read(): void {
    this.socket?.resume();
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const { socket } = this;
    if (!this.greeted || socket === undefined) {
      this.waiting = () => this._write(chunk, _encoding, done);
      return;
    }
    if (socket.write(chunk)) done();
    else this.waiting = done;
  }

  override _final(done: () => void): void {
    this.socket?.end();
    done();
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.socket?.destroy();
    this.waiting = undefined;
    done(error);
  }

  private receive(chunk: Buffer): void {
    if (this.greeted) return this.deliver(chunk);
    const end = chunk.indexOf(0x0a);
    const part = end < 0 ? chunk : chunk.subarray(0, end + 1);
    this.greeting += part.toString("latin1", 0, MAX_GREETING_BYTES + 1);
    const whole = this.greeting.endsWith("\n");
    if (this.greeting.length > MAX_GREETING_BYTES || (whole && !GREETING.test(this.greeting))) {
      this.destroy(
        new BangerError(
          "guest_error",
          `Firecracker greeted the agent channel with ${JSON.stringify(this.greeting)}`,
        ),
      );
      return;
    }
    if (!whole) return;
    this.greeted = true;
    this.release();
    if (part.byteLength < chunk.byteLength) this.deliver(chunk.subarray(part.byteLength));
  }

  private deliver(chunk: Buffer): void {
    if (!this.push(chunk)) this.socket?.pause();
  }

  private release(): void {
    if (!this.greeted) return;
    const { waiting } = this;
    this.waiting = undefined;
    waiting?.();
  }

  private hungUp(socket: Socket): void {
    if (this.socket !== socket || this.destroyed) return;
    if (!this.greeted) {
      void this.again();
      return;
    }
    const unread = this.readableLength > 0;
    if (unread) this.once("end", () => this.destroy());
    this.push(null);
    if (!unread) this.destroy();
  }

  /** Nobody listened. Once somebody may, we ask again; until then the stream is as silent as a guest that boots. */
  private async again(): Promise<void> {
    await this.target.knocks.after(this.knocksSeen);
    if (this.destroyed) return;
    try {
      await this.dial();
    } catch {
      // Firecracker itself has gone: that is an end as any other.
      this.destroy();
    }
  }
}
