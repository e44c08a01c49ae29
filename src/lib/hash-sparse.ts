/** The SHA-256 of what is in a sparse file: two files that read the same have the same, wherever their holes are. */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { dataRanges } from "./sparse-copy.ts";

/** Read at once, and hashed without a break. */
const PIECE_BYTES = 1024 * 1024;
const BLOCK_BYTES = 4096;
const ZEROS = Buffer.alloc(BLOCK_BYTES);

/** 64 hex digits: of the size, and of every run of blocks that are not all zeros, with where it begins. */
export async function hashSparse(path: string): Promise<string> {
  await using file = await open(path, "r");
  const { size } = await file.stat();
  const hash = createHash("sha256").update(`${size}\n`);
  const buffer = Buffer.alloc(PIECE_BYTES);
  let done = 0;
  for (const { start, end } of dataRanges(file, size)) {
    // Whole blocks, each once: a file system may have smaller ones than these.
    const last = Math.min(size, Math.ceil(end / BLOCK_BYTES) * BLOCK_BYTES);
    for (let at = Math.max(done, start - (start % BLOCK_BYTES)); at < last; at = pieceEnd(at)) {
      hashPiece(hash, await readPiece(file, buffer, { start: at, end: Math.min(last, pieceEnd(at)) }), at);
    }
    done = last;
  }
  return hash.digest("hex");
}

/** Pieces end at the same offsets in every file, whatever its ranges are. */
function pieceEnd(at: number): number {
  return at - (at % PIECE_BYTES) + PIECE_BYTES;
}

async function readPiece(
  file: FileHandle,
  buffer: Buffer,
  range: { readonly start: number; readonly end: number },
): Promise<Buffer> {
  let have = 0;
  const want = range.end - range.start;
  while (have < want) {
    const { bytesRead } = await file.read(buffer, have, want - have, range.start + have);
    if (bytesRead === 0) break;
    have += bytesRead;
  }
  return buffer.subarray(0, have);
}

function hashPiece(hash: Hash, piece: Buffer, at: number): void {
  let run = -1;
  const flush = (end: number): void => {
    if (run >= 0) hash.update(`${at + run}\n`).update(piece.subarray(run, end));
    run = -1;
  };
  for (let offset = 0; offset < piece.length; offset += BLOCK_BYTES) {
    const block = piece.subarray(offset, offset + BLOCK_BYTES);
    if (block.equals(block.length === BLOCK_BYTES ? ZEROS : ZEROS.subarray(0, block.length))) flush(offset);
    else if (run < 0) run = offset;
  }
  flush(piece.length);
}
