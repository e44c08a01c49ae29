/** One question from a namespace and its answer. Its socket is made and connected by system calls, and so surely there. */
import { dlopen } from "bun:ffi";
import { writeSync } from "node:fs";
import type { FdSocketOptions, UnixSocketOptions } from "bun";
import { socket } from "../../src/lib/libc.ts";
import { inNetns } from "../../src/lib/netns.ts";
import { parseIp } from "../../src/model/ip.ts";

const { symbols } = dlopen("libc.so.6", { connect: { args: ["i32", "ptr", "u32"], returns: "i32" } });

const AF_INET = 2;
const AF_INET6 = 10;
const IPPROTO_ICMPV6 = 58;
const CLOEXEC_NONBLOCK = 0o2000000 | 0o4000;
/** Type and protocol; the last are the ping sockets of icmp(7). */
const SOCKETS = { tcp: [1, 6], udp: [2, 17], icmp: [2, 1] } as const;

/** RFC 792 and RFC 4443. */
const ECHO_REQUEST = { 4: 8, 6: 128 } as const;

const MEETING_MS = 30_000;

export interface Question {
  readonly protocol: keyof typeof SOCKETS;
  readonly address: string;
  readonly port: number;
  /** Undefined: nothing is sent, the other side speaks first. */
  readonly message: Uint8Array | undefined;
  readonly timeoutMs: number;
}

/** The first bytes that come back; undefined when the question is refused or lost. */
export async function ask(netns: string, question: Question): Promise<Buffer | undefined> {
  const [type, protocol4] = SOCKETS[question.protocol];
  const ip = parseIp(question.address);
  if (ip === undefined) throw new Error(`${question.address} is no address`);
  const isSix = ip.family === 6;
  const protocol = isSix && question.protocol === "icmp" ? IPPROTO_ICMPV6 : protocol4;
  // struct sockaddr_in, and struct sockaddr_in6 with flow and scope of zero.
  const target = Buffer.alloc(isSix ? 28 : 16);
  target.writeUInt16LE(isSix ? AF_INET6 : AF_INET, 0);
  target.writeUInt16BE(question.port, 2);
  target.set(Buffer.from(ip.value.toString(16).padStart(isSix ? 32 : 8, "0"), "hex"), isSix ? 8 : 4);
  const fd = inNetns(netns, () => {
    const made = socket(isSix ? AF_INET6 : AF_INET, type | CLOEXEC_NONBLOCK, protocol);
    symbols.connect(made, target, target.length);
    return made;
  });
  const answered = Promise.withResolvers<Buffer | undefined>();
  const options: FdSocketOptions = {
    fd,
    socket: {
      data: (_, bytes) => answered.resolve(Buffer.from(bytes)),
      close: () => answered.resolve(undefined),
      error: () => answered.resolve(undefined),
      end: () => answered.resolve(undefined),
    },
  };
  // bun-types declares FdSocketOptions but leaves it out of connect()'s overloads.
  const reader = await Bun.connect(options as unknown as UnixSocketOptions);
  const lost = setTimeout(() => answered.resolve(undefined), question.timeoutMs);
  try {
    if (question.message !== undefined) writeSync(fd, question.message);
    return await answered.promise;
  } catch {
    // Refused before it left.
    return undefined;
  } finally {
    clearTimeout(lost);
    reader.terminate();
  }
}

/** A ping; the kernel fills in checksum and identifier. */
export function echoRequest(family: 4 | 6): Buffer {
  return Buffer.from([ECHO_REQUEST[family], 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4]);
}

/** Resolves when an IPv6 neighbour has answered a ping: then both have their addresses, which a queue of the kernel gives them (net/ipv6/addrconf.c). */
export async function meetNeighbour(netns: string, address: string): Promise<void> {
  const question = { protocol: "icmp", address, port: 0, message: echoRequest(6), timeoutMs: 1_000 } as const;
  const until = performance.now() + MEETING_MS;
  // Without an address of one's own there is nothing to ask from, and that is known at once.
  while ((await ask(netns, question)) === undefined) {
    if (performance.now() > until) throw new Error(`${address} does not answer`);
  }
}
