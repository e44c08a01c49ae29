/** The servers of the world: TCP and UDP on some ports of every address, and a nameserver that tells lies. */
import { decode, encode, RECURSION_AVAILABLE } from "dns-packet";
import { inNetns } from "../../src/lib/netns.ts";
import {
  HOST,
  HOST6,
  INTERNET,
  INTERNET6,
  METADATA,
  METADATA6,
  OTHER_SITE,
  PRIVATE_HOST,
  PRIVATE_HOST6,
  SITE,
  SITE6,
} from "./addresses.ts";

export const GREETING = "hello";
const PORTS = [80, 81];

/** What the nameserver answers; `rebind.test` points into the private network. */
export const RECORDS: Readonly<
  Record<string, { readonly addresses: readonly string[]; readonly ttl: number }>
> = {
  "good.test": { addresses: [SITE], ttl: 60 },
  "a.wild.test": { addresses: [OTHER_SITE], ttl: 60 },
  "short.test": { addresses: [SITE], ttl: 0 },
  "rebind.test": { addresses: [PRIVATE_HOST], ttl: 60 },
  "mixed.test": { addresses: [SITE, PRIVATE_HOST], ttl: 60 },
  "cloud.test": { addresses: [METADATA], ttl: 60 },
  "both.test": { addresses: [SITE, SITE6], ttl: 60 },
  "six.test": { addresses: [SITE6], ttl: 60 },
  "rebind6.test": { addresses: [PRIVATE_HOST6], ttl: 60 },
  "cloud6.test": { addresses: [METADATA6], ttl: 60 },
};

/** Serves in the internet's namespace, and the same ports on the host's own address. */
export async function serveInternet(
  netns: string,
  {
    host,
    nameservers,
    ipv6,
  }: { readonly host: string; readonly nameservers: readonly string[]; readonly ipv6: boolean },
): Promise<Disposable> {
  const undo = new DisposableStack();
  for (const place of [netns, host]) {
    for (const port of PORTS) {
      undo.adopt(serveTcp(place, port, ipv6), (server) => server.stop(true));
      // An answer must come from where the question went, and a socket of all addresses would choose one of its own.
      const sixes = place === host ? [HOST6] : INTERNET6;
      for (const address of [...(place === host ? [HOST] : INTERNET), ...(ipv6 ? sixes : [])]) {
        undo.adopt(await serveUdp(place, { address, port }), (server) => server.close());
      }
    }
  }
  for (const nameserver of nameservers) {
    undo.adopt(await serveDns(netns, nameserver), (server) => server.close());
    undo.adopt(serveDnsTcp(netns, nameserver), (server) => server.stop(true));
  }
  return undo;
}

/** On all addresses; of both families when there are two. */
export function serveTcp(netns: string, port: number, ipv6: boolean): { stop(force: boolean): void } {
  return inNetns(netns, () =>
    Bun.listen({
      hostname: ipv6 ? "::" : "0.0.0.0",
      port,
      socket: { open: (socket) => void socket.end(GREETING), data: () => undefined, error: () => undefined },
    }),
  );
}

async function serveUdp(
  netns: string,
  { address, port }: { readonly address: string; readonly port: number },
): Promise<Closable> {
  return await inNetns(netns, () =>
    Bun.udpSocket({
      hostname: address,
      port,
      socket: { data: (socket, _, from, client) => void socket.send(GREETING, from, client) },
    }),
  );
}

interface Closable {
  close(): void;
}

async function serveDns(netns: string, address: string): Promise<Closable> {
  return await inNetns(netns, () =>
    Bun.udpSocket({
      hostname: address,
      port: 53,
      socket: { data: (socket, bytes, from, client) => void socket.send(answer(bytes, "udp"), from, client) },
    }),
  );
}

function serveDnsTcp(netns: string, address: string): { stop(force: boolean): void } {
  return inNetns(netns, () =>
    Bun.listen({
      hostname: address,
      port: 53,
      socket: {
        data(socket, bytes) {
          const message = answer(bytes.subarray(2), "tcp");
          const length = Buffer.alloc(2);
          length.writeUInt16BE(message.byteLength);
          socket.write(Buffer.concat([length, message]));
        },
      },
    }),
  );
}

function answer(bytes: Uint8Array, transport: "udp" | "tcp"): Buffer {
  const query = decode(Buffer.from(bytes));
  const [question] = query.questions ?? [];
  const name = question?.name.toLowerCase() ?? "";
  const found = RECORDS[name];
  const base = { type: "response" as const, id: query.id ?? 0, questions: query.questions ?? [] };
  // TC, RFC 1035 section 4.1.1.
  if (name === "large.test" && transport === "udp") return encode({ ...base, flags: 0x200 });
  if (name === "large.test") {
    const answers = Array.from({ length: 200 }, (_, at) => ({
      type: "A" as const,
      name,
      ttl: 60,
      data: `203.0.113.${at}`,
    }));
    return encode({ ...base, flags: RECURSION_AVAILABLE, answers });
  }
  if (found === undefined) return encode({ ...base, flags: RECURSION_AVAILABLE | 3 });
  const answers = found.addresses
    .map((data) => ({ type: data.includes(":") ? ("AAAA" as const) : ("A" as const), name, data }))
    .filter(({ type }) => type === question?.type)
    .map((one) => ({ ...one, ttl: found.ttl }));
  return encode({ ...base, flags: RECURSION_AVAILABLE, answers });
}
