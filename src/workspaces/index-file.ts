/** The file `.git/index`, versions 2 and 3 (gitformat-index(5)), written without git. */
import { createHash } from "node:crypto";
import type { IndexEntry } from "./plan.ts";

/** What the work tree has of an entry, so that git need not look into the file; undefined: it has to. */
export interface IndexStat {
  readonly size: number;
  readonly mtimeNs: bigint;
}

const SKIP_WORKTREE = 1 << 14;
const EXTENDED = 0x4000;
const BILLION = 1_000_000_000n;

/** `entries` are sorted by name, as git lists them. */
export function encodeIndex(
  entries: readonly IndexEntry[],
  statOf: (entry: IndexEntry) => IndexStat | undefined,
  format: "sha1" | "sha256",
): Buffer {
  const version = entries.some(({ skipped }) => skipped) ? 3 : 2;
  const header = Buffer.alloc(12);
  header.write("DIRC", "latin1");
  header.writeUInt32BE(version, 4);
  header.writeUInt32BE(entries.length, 8);
  const body = Buffer.concat([header, ...entries.map((entry) => encodeEntry(entry, statOf(entry)))]);
  return Buffer.concat([body, createHash(format).update(body).digest()]);
}

function encodeEntry({ name, mode, oid, skipped }: IndexEntry, stat: IndexStat | undefined): Buffer {
  const hash = Buffer.from(oid, "hex");
  const fixed = 40 + hash.length + 2 + (skipped ? 2 : 0);
  // At least one NUL behind the name, up to a multiple of eight.
  const bytes = Buffer.alloc((fixed + name.length + 8) & ~7);
  if (stat !== undefined) {
    bytes.writeUInt32BE(Number(BigInt.asUintN(32, stat.mtimeNs / BILLION)), 8);
    bytes.writeUInt32BE(Number(stat.mtimeNs % BILLION), 12);
    bytes.writeUInt32BE(stat.size % 2 ** 32, 36);
  }
  bytes.writeUInt32BE(mode, 24);
  hash.copy(bytes, 40);
  const flags = Math.min(name.length, 0xfff) | (skipped ? EXTENDED : 0);
  bytes.writeUInt16BE(flags, 40 + hash.length);
  if (skipped) bytes.writeUInt16BE(SKIP_WORKTREE, 42 + hash.length);
  name.copy(bytes, fixed);
  return bytes;
}
