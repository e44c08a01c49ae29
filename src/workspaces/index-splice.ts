/** An index of the guest becomes another one: only what differs is sent. */
import { createHash } from "node:crypto";
import type { RawEntry } from "./index-parse.ts";

export interface SplicedIndex {
  /** As the guest will have it. */
  readonly bytes: Buffer;
  /** For the agent's `splice`. */
  readonly pieces: Buffer;
}

export interface IndexSide {
  readonly bytes: Buffer;
  readonly entries: readonly RawEntry[];
}

/** `base` is what the guest has, `wanted` what it shall say; entries that say the same stay as they are, their file's state included. */
export function spliceIndex(base: IndexSide, wanted: IndexSide, format: "sha1" | "sha256"): SplicedIndex {
  const known = new Map(base.entries.map((entry) => [entry.name.toString("latin1"), entry]));
  const pieces: Buffer[] = [];
  const parts: Buffer[] = [];
  let copy: { start: number; end: number } | undefined;
  const flush = (): void => {
    if (copy !== undefined) pieces.push(head("c", copy.start, copy.end - copy.start));
    copy = undefined;
  };
  const add = (bytes: Buffer): void => {
    flush();
    pieces.push(head("d", 0, bytes.length), bytes);
    parts.push(bytes);
  };
  add(wanted.bytes.subarray(0, 12));
  for (const entry of wanted.entries) {
    const same = known.get(entry.name.toString("latin1"));
    if (same === undefined || same.meaning !== entry.meaning) {
      add(wanted.bytes.subarray(entry.start, entry.end));
      continue;
    }
    parts.push(base.bytes.subarray(same.start, same.end));
    if (copy?.end === same.start) copy.end = same.end;
    else {
      flush();
      copy = { start: same.start, end: same.end };
    }
  }
  const body = Buffer.concat(parts);
  const sum = createHash(format).update(body).digest();
  add(sum);
  return { bytes: Buffer.concat([body, sum]), pieces: Buffer.concat(pieces) };
}

function head(kind: "c" | "d", at: number, length: number): Buffer {
  const bytes = Buffer.alloc(17);
  bytes.write(kind, "latin1");
  bytes.writeBigUInt64LE(BigInt(at), 1);
  bytes.writeBigUInt64LE(BigInt(length), 9);
  return bytes;
}
