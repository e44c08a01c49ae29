/** The transport on Node ≥ 20: node:http, and the `ws` package for WebSockets. */
import { request as httpRequest } from "node:http";
import { WebSocket } from "ws";
import { socketUrl } from "./socket-url.ts";
import type { HttpAnswer, HttpRequest, Socket, SocketListener, Transport } from "./transport.ts";

export function createNodeTransport(socketPath: string): Transport {
  return {
    request: async (request) => await send(socketPath, request),
    connect: (path, listener) => openSocket(socketUrl(socketPath, path), listener),
  };
}

async function send(socketPath: string, { method, path, body, signal }: HttpRequest): Promise<HttpAnswer> {
  return await new Promise((resolve, reject) => {
    const request = httpRequest({
      socketPath,
      method,
      path,
      ...(body === undefined ? {} : { headers: { "content-type": "application/json" } }),
      ...(signal === undefined ? {} : { signal }),
    });
    request.once("error", reject);
    request.once("response", (response) => {
      const header = (name: string): string | undefined => response.headers[name]?.toString();
      resolve({ status: response.statusCode ?? 0, header, body: response });
    });
    request.end(body);
  });
}

function openSocket({ url, release }: ReturnType<typeof socketUrl>, listener: SocketListener): Socket {
  const socket = new WebSocket(url, { perMessageDeflate: false });
  let failure = "";
  socket.on("open", () => {
    release();
    listener.onOpen();
  });
  socket.on("message", (data: Buffer, isBinary: boolean) => {
    if (isBinary) listener.onBytes(data);
    else listener.onText(data.toString("utf8"));
  });
  socket.on("error", (error) => {
    failure = error.message;
  });
  socket.on("close", (code, reason) => {
    release();
    listener.onClose(failure || reason.toString("utf8") || `code ${code}`);
  });
  return {
    send: (data) => socket.send(data),
    get bufferedBytes() {
      return socket.bufferedAmount;
    },
    close: () => socket.close(),
  };
}
