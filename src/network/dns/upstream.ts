/** Asking the host's own nameservers: over UDP, and over TCP when the answer does not fit (RFC 7766). */
import { randomInt } from "node:crypto";
import { idOf, isTruncated, type Query, readAnswer, withId } from "./message.ts";

export interface Nameserver {
  readonly address: string;
  readonly port: number;
}

export interface UpstreamOptions {
  /** Read for every question: the host's servers come and go. */
  readonly servers: () => readonly Nameserver[];
}

/** How long one server may take. */
const SERVER_TIMEOUT_MS = 3_000;
/** So many questions are under way at once. */
const MAX_UNDER_WAY = 1_024;

/** Asks a question; undefined when no server answers in time. The message's bytes are what the client sent. */
export type Ask = (
  bytes: Uint8Array,
  query: Query,
  transport: "udp" | "tcp",
) => Promise<Uint8Array | undefined>;

export function createUpstream({ servers }: UpstreamOptions): Ask {
  let underWay = 0;
  return async (bytes, query, transport) => {
    if (underWay >= MAX_UNDER_WAY) return undefined;
    underWay += 1;
    try {
      for (const server of servers()) {
        const answer = await askServer(server, { bytes, query, transport });
        if (answer !== undefined) return withId(answer, idOf(bytes));
      }
      return undefined;
    } finally {
      underWay -= 1;
    }
  };
}

interface Question {
  readonly bytes: Uint8Array;
  readonly query: Query;
  readonly transport: "udp" | "tcp";
}

async function askServer(server: Nameserver, question: Question): Promise<Uint8Array | undefined> {
  const overUdp = await askUdp(server, question);
  if (overUdp === undefined || !isTruncated(overUdp) || question.transport === "udp") return overUdp;
  return (await askTcp(server, question)) ?? overUdp;
}

/** A port and an id of its own for each question make answers hard to forge (RFC 5452). */
async function askUdp(server: Nameserver, { bytes, query }: Question): Promise<Uint8Array | undefined> {
  const id = randomInt(0x1_0000);
  const answered = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => answered.resolve(undefined), SERVER_TIMEOUT_MS);
  const socket = await Bun.udpSocket({
    connect: { hostname: server.address, port: server.port },
    socket: {
      data: (_, data) => {
        if (idOf(data) === id && readAnswer(data, query) !== undefined) answered.resolve(Buffer.from(data));
      },
      // Nobody listens there.
      error: () => answered.resolve(undefined),
    },
  }).catch(() => undefined);
  // No route there, or no more descriptors.
  if (socket === undefined) answered.resolve(undefined);
  try {
    socket?.send(withId(bytes, id));
    return await answered.promise;
  } catch {
    // The network is unreachable: the next server may not be.
    return undefined;
  } finally {
    clearTimeout(timer);
    socket?.close();
  }
}

async function askTcp(server: Nameserver, { bytes, query }: Question): Promise<Uint8Array | undefined> {
  const id = randomInt(0x1_0000);
  const answered = Promise.withResolvers<Uint8Array | undefined>();
  const timer = setTimeout(() => answered.resolve(undefined), SERVER_TIMEOUT_MS);
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.byteLength);
  let received = Buffer.alloc(0);
  const socket = await Bun.connect({
    hostname: server.address,
    port: server.port,
    socket: {
      open: (opened) => void opened.write(Buffer.concat([length, withId(bytes, id)])),
      data: (_, data) => {
        received = Buffer.concat([received, data]);
        if (received.length < 2 || received.length < 2 + received.readUInt16BE(0)) return;
        const message = received.subarray(2, 2 + received.readUInt16BE(0));
        const fits = idOf(message) === id && readAnswer(message, query) !== undefined;
        answered.resolve(fits ? message : undefined);
      },
      close: () => answered.resolve(undefined),
      error: () => answered.resolve(undefined),
    },
  }).catch(() => undefined);
  if (socket === undefined) answered.resolve(undefined);
  try {
    return await answered.promise;
  } finally {
    clearTimeout(timer);
    socket?.terminate();
  }
}
