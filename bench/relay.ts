/**
 * A process that passes bytes on and does nothing else, as quickly as this runtime can: `relay LISTEN CONNECT`, both Unix sockets. Says
 * so when it listens, serves one connection, and ends with it.
 */
import type { Socket, UnixSocketOptions } from "bun";

const [listen = "", target = ""] = process.argv.slice(2);

type Handlers = UnixSocketOptions["socket"];

/** One end of the way: what comes from the other is written to it, and kept while it takes no more. */
class End {
  #socket: Socket | undefined;
  #kept = Buffer.alloc(0);

  use(socket: Socket): void {
    this.#socket = socket;
    this.write();
  }

  write(bytes: Uint8Array = NOTHING): void {
    const all = this.#kept.length === 0 ? bytes : Buffer.concat([this.#kept, bytes]);
    const written = all.length === 0 ? 0 : (this.#socket?.write(all) ?? 0);
    this.#kept = Buffer.from(all.subarray(written));
  }
}

const NOTHING = new Uint8Array(0);
const near = new End();
const far = new End();

function handlers(own: End, other: End): Handlers {
  return {
    open: (socket) => own.use(socket),
    data: (_, bytes) => other.write(bytes),
    drain: () => own.write(),
    close: () => process.exit(0),
  };
}

await Bun.connect({ unix: target, socket: handlers(far, near) });
Bun.listen({ unix: listen, socket: handlers(near, far) });
console.log("ready");
