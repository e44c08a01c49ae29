/** The transport on Bun: its own fetch and WebSocket, which start in under a millisecond. */
import { socketUrl } from "./socket-url.ts";
import type { Socket, SocketListener, Transport } from "./transport.ts";

/** Bun's fetch takes a `unix` option (https://bun.com/docs/runtime/networking/fetch). */
type UnixFetch = (url: string, init: RequestInit & { unix: string }) => Promise<Response>;

export function createBunTransport(socketPath: string): Transport {
  const unixFetch = fetch as UnixFetch;
  return {
    async request({ method, path, body, signal }) {
      const response = await unixFetch(`http://banger${path}`, {
        unix: socketPath,
        method,
        ...(body === undefined ? {} : { body, headers: { "content-type": "application/json" } }),
        ...(signal === undefined ? {} : { signal }),
      });
      const header = (name: string): string | undefined => response.headers.get(name) ?? undefined;
      return { status: response.status, header, body: response.body ?? emptyBody() };
    },
    connect(path, listener) {
      return openSocket(socketUrl(socketPath, path), listener);
    },
  };
}

function openSocket({ url, release }: ReturnType<typeof socketUrl>, listener: SocketListener): Socket {
  const socket = new WebSocket(url);
  socket.binaryType = "arraybuffer";
  socket.addEventListener("open", () => {
    release();
    listener.onOpen();
  });
  socket.addEventListener("message", ({ data }: MessageEvent<unknown>) => {
    if (typeof data === "string") listener.onText(data);
    else if (data instanceof ArrayBuffer) listener.onBytes(new Uint8Array(data));
  });
  socket.addEventListener("close", ({ code, reason }) => {
    release();
    listener.onClose(reason === "" ? `code ${code}` : reason);
  });
  return {
    send: (data) => {
      socket.send(data);
    },
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
    close: () => socket.close(),
  };
}

async function* emptyBody(): AsyncGenerator<Uint8Array> {
  // A body of no bytes yields nothing.
}
