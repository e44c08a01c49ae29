/**
 * The 512-byte header of a tar entry: v7, ustar (POSIX.1-1988), GNU and star; tar(5) of libarchive, "Basic Tar Format" of
 * the GNU tar manual. Numbers are octal, or base 256 where the first bit is set.
 */
import { type ByteString, damagedTar } from "./entry.ts";

export const BLOCK_BYTES = 512;

export type HeaderFormat = "v7" | "ustar" | "gnu" | "star";

/** The fields as they stand there; which of them mean something depends on the type. */
export interface RawHeader {
  readonly format: HeaderFormat;
  /** One character. */
  readonly type: string;
  readonly name: ByteString;
  readonly linkName: ByteString;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly sizeBytes: number;
  readonly mtimeSeconds: number;
  readonly major: number;
  readonly minor: number;
}

/** Errors: `invalid_argument` (wrong checksum, a number that is none). */
export function parseHeader(bytes: Buffer, at: number): RawHeader {
  if (!checksumFits(bytes, at)) throw damagedTar("a header has a wrong checksum");
  const format = formatOf(bytes, at);
  const short = readText(bytes, at, 100);
  const prefixBytes = format === "ustar" ? 155 : format === "star" ? 131 : 0;
  const prefix = prefixBytes === 0 ? "" : readText(bytes, at + 345, prefixBytes);
  return {
    format,
    type: String.fromCharCode(bytes[at + 156] ?? 0),
    name: prefix === "" ? short : `${prefix}/${short}`,
    linkName: readText(bytes, at + 157, 100),
    mode: readNumber(bytes, at + 100, 8),
    uid: readNumber(bytes, at + 108, 8),
    gid: readNumber(bytes, at + 116, 8),
    sizeBytes: readNumber(bytes, at + 124, 12),
    mtimeSeconds: readNumber(bytes, at + 136, 12),
    major: format === "v7" ? 0 : readNumber(bytes, at + 329, 8),
    minor: format === "v7" ? 0 : readNumber(bytes, at + 337, 8),
  };
}

/** Up to the first NUL. */
export function readText(bytes: Buffer, at: number, length: number): ByteString {
  let end = at;
  while (end < at + length && bytes[end] !== 0) end += 1;
  return bytes.toString("latin1", at, end);
}

/** An integer that a double holds exactly; may be negative in base 256. Errors: `invalid_argument`. */
export function readNumber(bytes: Buffer, at: number, length: number): number {
  const value =
    ((bytes[at] ?? 0) & 0x80) === 0 ? readOctal(bytes, at, length) : readBase256(bytes, at, length);
  if (value === undefined || !Number.isSafeInteger(value))
    throw damagedTar("a header holds a number that is none");
  return value;
}

/** Spaces or NULs, digits, spaces or NULs; nothing at all is 0. */
function readOctal(bytes: Buffer, at: number, length: number): number | undefined {
  let index = at;
  let end = at + length;
  while (index < end && isBlank(bytes[index])) index += 1;
  while (end > index && isBlank(bytes[end - 1])) end -= 1;
  let value = 0;
  for (; index < end; index += 1) {
    const digit = (bytes[index] ?? 0) - 0x30;
    if (digit < 0 || digit > 7) return undefined;
    value = value * 8 + digit;
  }
  return value;
}

/** Two's complement, the first bit of all replaced by the flag. */
function readBase256(bytes: Buffer, at: number, length: number): number | undefined {
  const first = bytes[at] ?? 0;
  const negative = (first & 0x40) !== 0;
  let value = negative ? (first & 0x7f) - 0x80 : first & 0x3f;
  for (let index = at + 1; index < at + length; index += 1) {
    value = value * 256 + (bytes[index] ?? 0);
    if (!Number.isSafeInteger(value)) return undefined;
  }
  return value;
}

function isBlank(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0;
}

/** The sum of all bytes, the checksum itself taken as spaces; some old programs summed signed bytes. */
function checksumFits(bytes: Buffer, at: number): boolean {
  const wanted = readOctal(bytes, at + 148, 8);
  let unsigned = 8 * 0x20;
  let high = 0;
  for (let index = 0; index < BLOCK_BYTES; index += 1) {
    if (index === 148) index = 156;
    const byte = bytes[at + index] ?? 0;
    unsigned += byte;
    high += byte >> 7;
  }
  return wanted === unsigned || wanted === unsigned - 256 * high;
}

function formatOf(bytes: Buffer, at: number): HeaderFormat {
  const magic = bytes.toString("latin1", at + 257, at + 265);
  if (magic === "ustar  \0") return "gnu";
  if (!magic.startsWith("ustar\0")) return "v7";
  return bytes.toString("latin1", at + 508, at + 512) === "tar\0" ? "star" : "ustar";
}
