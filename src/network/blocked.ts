/** What the rules refused: the kernel's nflog (linux/netfilter/nfnetlink_log.h), read in the namespace, a bounded number per guest. */
import { writeSync } from "node:fs";
import type { FdSocketOptions, UnixSocketOptions } from "bun";
import { socket } from "../lib/libc.ts";
import { inNetns } from "../lib/netns.ts";
import { formatIp } from "../model/ip.ts";
import { BLOCKED_GROUP } from "./family-rules.ts";
import type { BlockedHandlers } from "./ground.ts";

/** A packet that was refused. */
export interface Blocked {
  /** The guest's address. */
  readonly source: string;
  readonly target: string;
  readonly protocol: string;
  readonly port: number | undefined;
}

const AF_NETLINK = 16;
const NETLINK_NETFILTER = 12;
const SOCK_RAW_CLOEXEC_NONBLOCK = 3 | 0o2000000 | 0o4000;
const NFULNL_MSG_PACKET = 0x400;
const NFULNL_MSG_CONFIG = 0x401;
const NFULA_CFG_CMD = 1;
const NFULA_CFG_MODE = 2;
const NFULA_CFG_QTHRESH = 5;
const NFULA_PAYLOAD = 9;
const NFULNL_CFG_CMD_BIND = 1;
const NFULNL_COPY_PACKET = 2;
/** struct nlmsghdr and struct nfgenmsg. */
const HEADERS = 20;
/** An IPv4 header with options or an IPv6 header, and the ports. */
const COPY_BYTES = 64;

/** Reads until it is disposed. Errors: `SystemCallError`. */
export function readBlocked(netnsPath: string, { onBlocked, onEnd }: BlockedHandlers): Disposable {
  const fd = inNetns(netnsPath, () => socket(AF_NETLINK, SOCK_RAW_CLOEXEC_NONBLOCK, NETLINK_NETFILTER));
  writeSync(fd, configMessage(NFULA_CFG_CMD, Buffer.from([NFULNL_CFG_CMD_BIND])));
  writeSync(fd, configMessage(NFULA_CFG_MODE, Buffer.from([0, 0, 0, COPY_BYTES, NFULNL_COPY_PACKET, 0])));
  // Each packet is told at once: the rules limit their number.
  writeSync(fd, configMessage(NFULA_CFG_QTHRESH, Buffer.from([0, 0, 0, 1])));
  let disposed = false;
  const options: FdSocketOptions = {
    fd,
    socket: {
      data: (_, bytes) => {
        for (const packet of parsePackets(bytes)) onBlocked(packet);
      },
      close: () => {
        if (!disposed) onEnd();
      },
      error: () => undefined,
    },
  };
  // bun-types declares FdSocketOptions but leaves it out of connect()'s overloads.
  const opened = Bun.connect(options as unknown as UnixSocketOptions).then((reader) => {
    reader.unref();
    return reader;
  });
  opened.catch(() => onEnd());
  return {
    [Symbol.dispose]() {
      disposed = true;
      opened.then(
        (reader) => reader.terminate(),
        () => undefined,
      );
    },
  };
}

/** The IPv4 and IPv6 packets of a buffer of netlink messages; what makes no sense is left out. */
export function parsePackets(bytes: Uint8Array): Blocked[] {
  const buffer = Buffer.from(bytes);
  const packets: Blocked[] = [];
  for (let at = 0; at + HEADERS <= buffer.length; ) {
    const length = buffer.readUInt32LE(at);
    if (length < HEADERS || at + length > buffer.length) break;
    const payload =
      buffer.readUInt16LE(at + 4) === NFULNL_MSG_PACKET
        ? findAttribute(buffer.subarray(at + HEADERS, at + length), NFULA_PAYLOAD)
        : undefined;
    const packet = payload === undefined ? undefined : parsePacket(payload);
    if (packet !== undefined) packets.push(packet);
    at += align(length);
  }
  return packets;
}

function findAttribute(attributes: Buffer, wanted: number): Buffer | undefined {
  for (let at = 0; at + 4 <= attributes.length; ) {
    const length = attributes.readUInt16LE(at);
    if (length < 4 || at + length > attributes.length) return undefined;
    if (attributes.readUInt16LE(at + 2) === wanted) return attributes.subarray(at + 4, at + length);
    at += align(length);
  }
  return undefined;
}

function parsePacket(packet: Buffer): Blocked | undefined {
  switch ((packet[0] ?? 0) >> 4) {
    case 4:
      return parsePacket4(packet);
    case 6:
      return parsePacket6(packet);
    default:
      return undefined;
  }
}

/** RFC 791, section 3.1. */
function parsePacket4(packet: Buffer): Blocked | undefined {
  if (packet.length < 20) return undefined;
  const ip = (at: number): string => formatIp({ family: 4, value: BigInt(packet.readUInt32BE(at)) });
  const rest = packet.subarray(((packet[0] ?? 0) & 15) * 4);
  return { source: ip(12), target: ip(16), ...readPorts(packet[9] ?? 0, rest) };
}

/** RFC 8200, section 3. What is behind an extension header is not looked at. */
function parsePacket6(packet: Buffer): Blocked | undefined {
  if (packet.length < 40) return undefined;
  const ip = (at: number): string =>
    formatIp({ family: 6, value: BigInt(`0x${packet.toString("hex", at, at + 16)}`) });
  return { source: ip(8), target: ip(24), ...readPorts(packet[6] ?? 0, packet.subarray(40)) };
}

function readPorts(protocol: number, rest: Buffer): Pick<Blocked, "protocol" | "port"> {
  const name = { 1: "icmp", 6: "tcp", 17: "udp", 58: "icmp" }[protocol] ?? `protocol ${protocol}`;
  const hasPort = (protocol === 6 || protocol === 17) && rest.length >= 4;
  return { protocol: name, port: hasPort ? rest.readUInt16BE(2) : undefined };
}

function configMessage(attribute: number, payload: Buffer): Buffer {
  const message = Buffer.alloc(HEADERS + align(4 + payload.length));
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(NFULNL_MSG_CONFIG, 4);
  // NLM_F_REQUEST
  message.writeUInt16LE(1, 6);
  message.writeUInt16BE(BLOCKED_GROUP, 18);
  message.writeUInt16LE(4 + payload.length, HEADERS);
  message.writeUInt16LE(attribute, HEADERS + 2);
  payload.copy(message, HEADERS + 4);
  return message;
}

function align(length: number): number {
  return (length + 3) & ~3;
}
