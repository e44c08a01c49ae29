/** Servers and clients of TCP and UDP for tests that carry connections. */
import { createSocket, type RemoteInfo } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface TestServer extends AsyncDisposable {
  readonly port: number;
}

/** Serves TCP on the loopback; disposing ends its connections. */
export async function serveTcp(onSocket: (socket: Socket) => void, port = 0): Promise<TestServer> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true }, (socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined).once("close", () => sockets.delete(socket));
    onSocket(socket);
  });
  server.listen(port, "127.0.0.1");
  await once(server, "listening");
  return {
    port: portOf(server.address()),
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Serves UDP on the loopback. */
export async function serveUdp(
  onDatagram: (bytes: Buffer, from: RemoteInfo, answer: (bytes: Uint8Array) => void) => void,
): Promise<TestServer> {
  const socket = createSocket("udp4");
  socket.on("message", (bytes, from) =>
    onDatagram(bytes, from, (answer) => socket.send(answer, from.port, from.address)),
  );
  socket.bind(0, "127.0.0.1");
  await once(socket, "listening");
  return {
    port: portOf(socket.address()),
    [Symbol.asyncDispose]: async () => {
      const closed = once(socket, "close");
      socket.close();
      await closed;
    },
  };
}

/** Says back, in one piece, what it was told until its end, and a `!`. */
export function parrot(socket: Socket): void {
  const heard: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => heard.push(bytes));
  socket.on("end", () => socket.end(Buffer.concat([...heard, Buffer.from("!")])));
}

/** Connects, says `words` and its end, and returns what it hears until the other end. Rejects with the socket's error. */
export async function talk(port: number, words: Uint8Array | string): Promise<Buffer> {
  const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  const heard: Buffer[] = [];
  socket.on("data", (bytes: Buffer) => heard.push(bytes));
  const ended = once(socket, "end");
  socket.end(words);
  await ended;
  return Buffer.concat(heard);
}

/** The code of the error that a connection ends with; `end` when it ends without, `refused` when there is none. */
export async function fateOf(port: number): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1" });
  let fate = "end";
  socket.on("error", (error: NodeJS.ErrnoException) => {
    fate = error.code ?? error.message;
  });
  socket.resume();
  await new Promise<void>((resolve) => socket.once("close", () => resolve()));
  return fate;
}

/** A UDP socket that asks one port and hands out what comes back in order. */
export async function udpClient(
  port: number,
): Promise<Disposable & { send(bytes: Uint8Array | string): void; next(): Promise<Buffer> }> {
  const socket = createSocket("udp4");
  const heard: Buffer[] = [];
  const waiting: ((bytes: Buffer) => void)[] = [];
  socket.on("message", (bytes) => {
    const wake = waiting.shift();
    if (wake === undefined) heard.push(bytes);
    else wake(bytes);
  });
  socket.connect(port, "127.0.0.1");
  await once(socket, "connect");
  return {
    send: (bytes) => socket.send(bytes),
    next: async () => heard.shift() ?? (await new Promise<Buffer>((resolve) => void waiting.push(resolve))),
    [Symbol.dispose]: () => void socket.close(),
  };
}

function portOf(address: unknown): number {
  return typeof address === "object" && address !== null && "port" in address ? Number(address.port) : 0;
}
