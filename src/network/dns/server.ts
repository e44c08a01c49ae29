/** The server's sockets: UDP, and TCP with lengths in front (RFC 1035, section 4.2.2). */
import type { Socket } from "bun";

export interface DnsServerOptions {
  readonly address: string;
  /** 0: any; `port` of the server says which. */
  readonly port: number;
  /** Answers a message from a client; undefined: no answer. Must not throw. */
  readonly answer: (
    message: Uint8Array,
    client: string,
    transport: "udp" | "tcp",
  ) => Promise<Uint8Array | undefined>;
}

export interface DnsServer extends Disposable {
  readonly port: number;
  /** Resolves when UDP questions are taken; rejects when the address cannot be had. */
  readonly ready: Promise<void>;
}

/** A question over UDP with EDNS is never larger (RFC 6891, section 6.2.5). */
const MAX_UDP_BYTES = 4_096;
const MAX_TCP_BYTES = 65_535;
const MAX_CONNECTIONS = 128;
const IDLE_S = 10;
/** So many questions of one connection are answered at once. */
const MAX_PIPELINED = 32;

interface Connection {
  received: Buffer;
  underWay: number;
}

/** Listens; in another network namespace when called there (lib/netns.ts). Errors: those of bind(2). */
export function createDnsServer({ address, port, answer }: DnsServerOptions): DnsServer {
  let connections = 0;
  const tcp = Bun.listen<Connection>({
    hostname: address,
    port,
    socket: {
      open(socket) {
        socket.data = { received: Buffer.alloc(0), underWay: 0 };
        connections += 1;
        if (connections > MAX_CONNECTIONS) socket.terminate();
        else socket.timeout(IDLE_S);
      },
      data(socket, bytes) {
        const { data } = socket;
        data.received = Buffer.concat([data.received, bytes]);
        for (const message of messages(data)) {
          data.underWay += 1;
          if (data.underWay > MAX_PIPELINED) return socket.terminate();
          void reply(socket, answer(message, socket.remoteAddress, "tcp"));
        }
      },
      timeout: (socket) => socket.terminate(),
      close: () => {
        connections -= 1;
      },
      error: (socket) => socket.terminate(),
    },
  });
  const udp = Bun.udpSocket({
    hostname: address,
    port: tcp.port,
    socket: {
      data(socket, bytes, clientPort, client) {
        if (bytes.byteLength > MAX_UDP_BYTES) return;
        void answer(Buffer.from(bytes), client, "udp").then((message) => {
          // A client that is gone, or the end of the server: nobody waits for it.
          if (message !== undefined && !socket.closed) socket.send(message, clientPort, client);
        });
      },
      error: () => undefined,
    },
  });
  udp.catch(() => tcp.stop(true));
  return {
    port: tcp.port,
    ready: udp.then(() => undefined),
    [Symbol.dispose]() {
      tcp.stop(true);
      udp.then(
        (socket) => socket.close(),
        () => undefined,
      );
    },
  };
}

/** Takes the whole messages out of what was received. */
function* messages(connection: Connection): Generator<Buffer> {
  while (connection.received.length >= 2) {
    const length = connection.received.readUInt16BE(0);
    if (length > MAX_TCP_BYTES || connection.received.length < 2 + length) return;
    const message = connection.received.subarray(2, 2 + length);
    connection.received = connection.received.subarray(2 + length);
    yield message;
  }
}

async function reply(socket: Socket<Connection>, answering: Promise<Uint8Array | undefined>): Promise<void> {
  const message = await answering;
  socket.data.underWay -= 1;
  if (message === undefined) {
    socket.terminate();
    return;
  }
  const length = Buffer.alloc(2);
  length.writeUInt16BE(message.byteLength);
  socket.timeout(IDLE_S);
  // An answer fits the socket's buffer; a client that does not read loses the connection when it does not.
  if (socket.write(Buffer.concat([length, message])) < message.byteLength + 2) socket.terminate();
}
