/**
 * Writes the headers of a tar: ustar with numeric owners only (a reader must not look names up on its own host), numbers
 * that do not fit in base 256, long names and extended attributes as PAX.
 */
import type { ByteString, TarEntry, TarKind } from "./entry.ts";
import { BLOCK_BYTES } from "./header.ts";

const TYPES: Readonly<Record<TarKind, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};

/** The end of an archive: "two 512-byte records of zeros" (pax(1)). */
export const END_MARK: Uint8Array = Buffer.alloc(2 * BLOCK_BYTES);

/** The fields that a header is made of; holes are written out. */
export type WrittenEntry = Omit<TarEntry, "extents" | "hasAcl">;

/** All that stands before the contents of an entry, which the caller pads to 512 bytes. */
export function writeHeader(entry: WrittenEntry): Buffer {
  const records: string[] = [];
  if (entry.path.length > 100) records.push(paxRecord("path", entry.path));
  if (entry.linkPath.length > 100) records.push(paxRecord("linkpath", entry.linkPath));
  for (const { name, value } of entry.xattrs) records.push(paxRecord(`SCHILY.xattr.${name}`, value));
  if (records.length === 0) return block(entry, TYPES[entry.kind]);
  const body = Buffer.from(records.join(""), "latin1");
  const extended = block({ ...PAX_HEADER, path: "PaxHeaders/entry", sizeBytes: body.length }, "x");
  return Buffer.concat([
    extended,
    body,
    Buffer.alloc(paddingOf(body.length)),
    block(entry, TYPES[entry.kind]),
  ]);
}

/** How many zeros follow contents of this size. */
export function paddingOf(sizeBytes: number): number {
  return (BLOCK_BYTES - (sizeBytes % BLOCK_BYTES)) % BLOCK_BYTES;
}

const PAX_HEADER = {
  kind: "file",
  linkPath: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  mtimeSeconds: 0,
  major: 0,
  minor: 0,
  xattrs: [],
} as const;

function block(entry: WrittenEntry, type: string): Buffer {
  const bytes = Buffer.alloc(BLOCK_BYTES);
  bytes.write(entry.path.slice(0, 100), 0, "latin1");
  writeNumber(bytes, { at: 100, length: 8, value: entry.mode });
  writeNumber(bytes, { at: 108, length: 8, value: entry.uid });
  writeNumber(bytes, { at: 116, length: 8, value: entry.gid });
  writeNumber(bytes, { at: 124, length: 12, value: entry.sizeBytes });
  writeNumber(bytes, { at: 136, length: 12, value: entry.mtimeSeconds });
  bytes.write(type, 156, "latin1");
  bytes.write(entry.linkPath.slice(0, 100), 157, "latin1");
  bytes.write("ustar\u000000", 257, "latin1");
  writeNumber(bytes, { at: 329, length: 8, value: entry.major });
  writeNumber(bytes, { at: 337, length: 8, value: entry.minor });
  bytes.fill(0x20, 148, 156);
  let sum = 0;
  for (let index = 0; index < BLOCK_BYTES; index += 1) sum += bytes[index] ?? 0;
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return bytes;
}

function writeNumber(
  bytes: Buffer,
  field: { readonly at: number; readonly length: number; readonly value: number },
): void {
  const { at, length, value } = field;
  if (value >= 0 && value < 8 ** (length - 1)) {
    bytes.write(value.toString(8).padStart(length - 1, "0"), at, "latin1");
    return;
  }
  let rest = BigInt(value);
  for (let index = at + length - 1; index >= at; index -= 1) {
    bytes[index] = Number(rest & 0xffn);
    rest >>= 8n;
  }
  bytes[at] = (bytes[at] ?? 0) | 0x80;
}

/** A record of an extended header: `length key=value\n`, where the length counts its own digits. */
export function paxRecord(key: ByteString, value: ByteString): string {
  const rest = key.length + value.length + 3;
  let length = rest + String(rest).length;
  if (String(length).length !== String(rest).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}
