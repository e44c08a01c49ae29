/** IPv6 frames as a guest that lies would send them, byte for byte; checksums are left out, because nothing here looks at them. */
import { closeSync, writeSync } from "node:fs";
import { bind, ioctl, socket } from "../../src/lib/libc.ts";
import { inNetns } from "../../src/lib/netns.ts";
import { parseIp } from "../../src/model/ip.ts";

const AF_PACKET = 17;
const SOCK_RAW_CLOEXEC = 3 | 0o2000000;
const ETH_P_IPV6 = 0x86dd;
const SIOCGIFINDEX = 0x8933;
/** Of RFC 8200 and RFC 4861. */
export const HOP_BY_HOP = 0;
export const ROUTING = 43;
export const UDP = 17;
export const ICMPV6 = 58;
export const SOURCE_LINK = 1;
export const TARGET_LINK = 2;

export interface Frame {
  readonly mac: string;
  readonly source: string;
  readonly target: string;
  /** Which it is: what passes is told by these. */
  readonly label: number;
  readonly nextHeader?: number;
  readonly body: Uint8Array;
}

/** An Ethernet frame to everybody with one IPv6 packet in it. */
export function buildFrame({ mac, source, target, label, nextHeader = ICMPV6, body }: Frame): Buffer {
  const header = Buffer.alloc(54);
  header.set([0x33, 0x33, 0, 0, 0, 1], 0);
  header.set(macBytes(mac), 6);
  header.writeUInt16BE(ETH_P_IPV6, 12);
  header.writeUInt32BE((0x6000_0000 | label) >>> 0, 14);
  header.writeUInt16BE(body.byteLength, 18);
  header[20] = nextHeader;
  header[21] = 255;
  header.set(addressBytes(source), 22);
  header.set(addressBytes(target), 38);
  return Buffer.concat([header, body]);
}

/** An ICMPv6 message of eight bytes: type, code, checksum, and four that are zero. */
export function message(type: number): Buffer {
  return Buffer.from([type, 0, 0, 0, 0, 0, 0, 0]);
}

/** A neighbour solicitation (135) or advertisement (136) about `address`, with or without an option for a MAC. */
export function neighbour(
  type: 135 | 136,
  address: string,
  link?: { readonly kind: number; readonly mac: string },
): Buffer {
  const option = link === undefined ? [] : [link.kind, 1, ...macBytes(link.mac)];
  return Buffer.concat([message(type), addressBytes(address), Buffer.from(option)]);
}

/** The same behind an extension header of eight bytes. */
export function behind(body: Uint8Array): Buffer {
  return Buffer.concat([Buffer.from([ICMPV6, 0, 1, 4, 0, 0, 0, 0]), body]);
}

/** Sends frames out of a device of a namespace, as a guest with its own card can. */
export function sendFrames(netns: string, device: string, frames: readonly Frame[]): void {
  inNetns(netns, () => {
    const fd = socket(AF_PACKET, SOCK_RAW_CLOEXEC, 0);
    try {
      const place = Buffer.alloc(20);
      place.writeUInt16LE(AF_PACKET, 0);
      place.writeUInt16BE(ETH_P_IPV6, 2);
      place.writeInt32LE(indexOf(fd, device), 4);
      bind(fd, place);
      for (const frame of frames) writeSync(fd, buildFrame(frame));
    } finally {
      closeSync(fd);
    }
  });
}

/** netdevice(7). */
function indexOf(fd: number, device: string): number {
  const request = Buffer.alloc(40);
  request.write(device);
  ioctl(fd, SIOCGIFINDEX, request);
  return request.readInt32LE(16);
}

function macBytes(mac: string): number[] {
  return mac.split(":").map((byte) => Number.parseInt(byte, 16));
}

function addressBytes(text: string): Buffer {
  const value = parseIp(text)?.value.toString(16).padStart(32, "0");
  if (value === undefined) throw new Error(`${text} is no address`);
  return Buffer.from(value, "hex");
}
