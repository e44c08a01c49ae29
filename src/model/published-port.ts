/** Published ports: ports of this host that lead to ports of a guest, and the rules for asking for them. */
import { BangerError } from "./errors.ts";
import { quote } from "./names.ts";

export const PORT_PROTOCOLS = ["tcp", "udp"] as const;
export type PortProtocol = (typeof PORT_PROTOCOLS)[number];

export interface PublishedPort {
  /** Of this host: IPv4, or IPv6 in its shortest form. */
  readonly address: string;
  /** Where this host listens; 0, in a wish only: any that is free, which the VM then keeps. */
  readonly hostPort: number;
  readonly guestPort: number;
  readonly protocol: PortProtocol;
}

/** Which published port is meant; without an address: on whatever address it is. */
export interface PublishedPortRef {
  readonly address?: string | undefined;
  readonly hostPort: number;
  readonly protocol: PortProtocol;
}

/** Published ports of one VM. */
export const MAX_PUBLISHED = 64;
export const MAX_PORT = 65_535;
const LOOPBACK = "127.0.0.1";
const ANYWHERE: readonly string[] = ["0.0.0.0", "::"];

const SHAPE = /^(?:(\[[^\]]*\]|[^:[\]]*):)?(\d{1,9}):(\d{1,9})(?:\/([a-z]+))?$/;
const REF_SHAPE = /^(?:(\[[^\]]*\]|[^:[\]]*):)?(\d{1,9})(?:\/([a-z]+))?$/;

/** Parses `[IP:]HOST:GUEST[/udp]`; an IPv6 address stands in brackets. Errors: `invalid_argument`. */
export function parsePublish(text: string): PublishedPort {
  const parts = SHAPE.exec(text);
  if (parts === null) throw malformed(text, "[IP:]HOST:GUEST[/udp], such as 8080:80 or 0.0.0.0:5353:53/udp");
  const [, address, host, guest, protocol] = parts;
  return {
    address: address === undefined ? LOOPBACK : parseHostAddress(address, text),
    hostPort: portOf(host, { text, min: 0 }),
    guestPort: portOf(guest, { text, min: 1 }),
    protocol: protocolOf(protocol, text),
  };
}

/** Parses `[IP:]HOST[/udp]`; also takes what `parsePublish` takes, and then ignores the guest's port. Errors: `invalid_argument`. */
export function parseUnpublish(text: string): PublishedPortRef {
  if (SHAPE.test(text)) {
    const { address, hostPort, protocol } = parsePublish(text);
    return text.split(":").length > 2 ? { address, hostPort, protocol } : { hostPort, protocol };
  }
  const parts = REF_SHAPE.exec(text);
  if (parts === null) throw malformed(text, "[IP:]HOST[/udp], such as 8080 or 5353/udp");
  const [, address, host, protocol] = parts;
  return {
    ...(address === undefined ? {} : { address: parseHostAddress(address, text) }),
    hostPort: portOf(host, { text, min: 1 }),
    protocol: protocolOf(protocol, text),
  };
}

/** Checks an address of this host by its shape and returns its one form. Errors: `invalid_argument`. */
export function validateHostAddress(address: string): string {
  return parseHostAddress(address.includes(":") ? `[${address}]` : address, address);
}

/** `127.0.0.1:8080`, with `/udp` where it is that. */
export function formatHostPort({ address, hostPort, protocol }: PublishedPort): string {
  const host = address.includes(":") ? `[${address}]` : address;
  return `${host}:${hostPort}${protocol === "udp" ? "/udp" : ""}`;
}

/** `127.0.0.1:8080->80`, with `/udp` where it is that. */
export function formatPublished(port: PublishedPort): string {
  const suffix = port.protocol === "udp" ? "/udp" : "";
  return `${formatHostPort({ ...port, protocol: "tcp" })}->${port.guestPort}${suffix}`;
}

/** Whether both cannot listen at the same time. */
export function clashes(one: PublishedPort, other: PublishedPort): boolean {
  if (one.hostPort !== other.hostPort || one.hostPort === 0 || one.protocol !== other.protocol) return false;
  if (one.address === other.address) return true;
  const sameFamily = one.address.includes(":") === other.address.includes(":");
  return sameFamily && (ANYWHERE.includes(one.address) || ANYWHERE.includes(other.address));
}

export function samePort(one: PublishedPort, other: PublishedPort): boolean {
  return (
    one.hostPort === other.hostPort &&
    one.guestPort === other.guestPort &&
    one.protocol === other.protocol &&
    one.address === other.address
  );
}

/** Checks the ports of one VM together; one that is named twice counts once. Errors: `invalid_argument`. */
export function validatePorts(ports: readonly PublishedPort[]): readonly PublishedPort[] {
  const unique = ports.filter(
    (port, at) => port.hostPort === 0 || ports.findIndex((other) => samePort(port, other)) === at,
  );
  const twice = unique.find((port, at) => unique.some((other, then) => then < at && clashes(port, other)));
  if (twice === undefined && unique.length <= MAX_PUBLISHED) return unique;
  const message =
    twice === undefined
      ? `a VM has at most ${MAX_PUBLISHED} published ports`
      : `${formatHostPort(twice)} is to lead to two places`;
  throw new BangerError("invalid_argument", message, {
    cure: "publish a port of this host once; 0 takes a free one",
    details: { field: "publish" },
  });
}

export interface PortsWish {
  /** Added to those that are published, at once. */
  readonly publish?: readonly PublishedPort[] | undefined;
  /** Taken away before, at once, with the connections that came through them. */
  readonly unpublish?: readonly PublishedPortRef[] | undefined;
}

/** Takes away, then adds. Errors: `invalid_argument`, also for a port that is to be taken away and is not there. */
export function applyPortsWish(
  before: readonly PublishedPort[],
  { publish = [], unpublish = [] }: PortsWish,
): readonly PublishedPort[] {
  const left = before.filter((port) => !unpublish.some((ref) => isMeant(ref, port)));
  const missing = unpublish.find((ref) => !before.some((port) => isMeant(ref, port)));
  if (missing === undefined) return validatePorts([...left, ...publish]);
  const list = before.map(formatPublished).join(", ");
  throw new BangerError(
    "invalid_argument",
    `port ${missing.hostPort}${missing.protocol === "udp" ? "/udp" : ""} is not published`,
    {
      cure: list === "" ? "nothing is" : `published are: ${list}`,
      details: { field: "unpublish" },
    },
  );
}

function isMeant(ref: PublishedPortRef, port: PublishedPort): boolean {
  const here = ref.address === undefined || ref.address === port.address;
  return here && ref.hostPort === port.hostPort && ref.protocol === port.protocol;
}

function portOf(
  digits: string | undefined,
  { text, min }: { readonly text: string; readonly min: number },
): number {
  const port = Number(digits);
  if (port >= min && port <= MAX_PORT) return port;
  throw new BangerError("invalid_argument", `${quote(text)} names port ${digits}`, {
    cure: `ports go from 1 to ${MAX_PORT}${min === 0 ? "; 0 takes a free one of this host" : ""}`,
    details: { field: "publish" },
  });
}

function protocolOf(word: string | undefined, text: string): PortProtocol {
  const found = PORT_PROTOCOLS.find((protocol) => protocol === (word ?? "tcp"));
  if (found !== undefined) return found;
  throw malformed(text, "[IP:]HOST:GUEST, with /tcp or /udp");
}

function parseHostAddress(address: string, text: string): string {
  const plain = address.startsWith("[") ? address.slice(1, -1) : address;
  const isV4 = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/.test(plain);
  if (isV4 && plain === address) return plain;
  if (plain !== address && /^[0-9a-fA-F:.]{2,45}$/.test(plain)) {
    // The one form of RFC 5952, as the URL standard writes it.
    const url = `http://[${plain}]/`;
    if (URL.canParse(url)) return new URL(url).hostname.slice(1, -1);
  }
  throw new BangerError("invalid_argument", `${quote(text)} has no address of this host`, {
    cure: "write an IPv4 address, or an IPv6 address in brackets; without one it is 127.0.0.1",
    details: { field: "publish" },
  });
}

function malformed(text: string, shape: string): BangerError {
  return new BangerError("invalid_argument", `${quote(text)} is no published port`, {
    cure: `write it as ${shape}`,
    details: { field: "publish" },
  });
}
