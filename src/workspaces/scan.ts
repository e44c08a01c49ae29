/** The answer to `scan`, taken apart (protocol/README.md). A guest may send anything. */
import { BangerError } from "../model/errors.ts";

export interface ScannedFile {
  readonly kind: "file" | "directory" | "symlink" | "other";
  readonly mode: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly ctimeNs: bigint;
  /** Below the directory that was asked about. */
  readonly name: Buffer;
}

/** Files of one answer: what the largest trees of anybody have. */
const MAX_ENTRIES = 5_000_000;
/** Bytes of a name: PATH_MAX of the kernel. */
const MAX_NAME = 4096;
const FIXED = 39;
const KINDS: Readonly<Record<string, ScannedFile["kind"]>> = {
  f: "file",
  d: "directory",
  l: "symlink",
  o: "other",
};

/** Errors: `guest_error` for what is no answer, `resource_exhausted` for too long a one. Deeper paths than the kernel takes are left out. */
export async function parseScan(pieces: AsyncIterable<Uint8Array>): Promise<ScannedFile[]> {
  const files: ScannedFile[] = [];
  let rest: Buffer = Buffer.alloc(0);
  for await (const piece of pieces) {
    const have = rest.length === 0 ? Buffer.from(piece) : Buffer.concat([rest, piece]);
    let at = 0;
    for (;;) {
      if (have.length - at < FIXED) break;
      const length = have.readUInt32LE(at + 35);
      if (length === 0 || length > 256 * 1024) throw nonsense("a name");
      if (have.length - at < FIXED + length) break;
      if (files.length >= MAX_ENTRIES) {
        throw new BangerError("resource_exhausted", `the guest's tree has more than ${MAX_ENTRIES} files`);
      }
      if (length <= MAX_NAME) files.push(parseRecord(have.subarray(at, at + FIXED + length)));
      at += FIXED + length;
    }
    rest = have.subarray(at);
  }
  if (rest.length > 0) throw nonsense("an end");
  return files;
}

function parseRecord(record: Buffer): ScannedFile {
  const kind = KINDS[String.fromCharCode(record[0] ?? 0)];
  const size = Number(record.readBigUInt64LE(3));
  if (kind === undefined || !Number.isSafeInteger(size)) throw nonsense("a record");
  return {
    kind,
    mode: record.readUInt16LE(1) & 0o7777,
    size,
    mtimeNs: record.readBigInt64LE(11) * BILLION + BigInt(record.readUInt32LE(19)),
    ctimeNs: record.readBigInt64LE(23) * BILLION + BigInt(record.readUInt32LE(31)),
    name: Buffer.from(record.subarray(FIXED)),
  };
}

const BILLION = 1_000_000_000n;

function nonsense(what: string): BangerError {
  return new BangerError("guest_error", `the guest agent's list of files has ${what} that makes no sense`);
}
