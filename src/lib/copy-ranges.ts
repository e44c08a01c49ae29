/** Copying parts of a file into another one: several pieces at once, off the main thread. */
import type { FileHandle } from "node:fs/promises";
import { BangerError } from "../model/errors.ts";
import type { ByteRange } from "./byte-ranges.ts";

/** Large enough that a piece costs more than its two calls, small enough to stay in a processor's cache. */
const PIECE_BYTES = 512 * 1024;
/** Pieces under way: one is being read while others are being written. */
const AT_ONCE = 3;

export interface CopyOptions {
  readonly ranges: readonly ByteRange[];
  /** Added to a range's place in `to` to find it in `from` (default 0). */
  readonly fromOffset?: number;
}

/**
 * Copies `ranges` of `to` from `from`. Both files stay the caller's. When it rejects, nothing is under way any more. Errors:
 * those of read(2) and write(2); `unavailable` where `from` ends early.
 */
export async function copyRanges(from: FileHandle, to: FileHandle, options: CopyOptions): Promise<void> {
  const { ranges, fromOffset = 0 } = options;
  const pieces = cut(ranges);
  const worker = async (): Promise<void> => {
    const buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
    for (const { start, end } of pieces) {
      const length = end - start;
      await readWhole(from, buffer.subarray(0, length), start + fromOffset);
      for (let done = 0; done < length; ) {
        done += (await to.write(buffer, done, length - done, start + done)).bytesWritten;
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
  for (const end of ends) if (end.status === "rejected") throw end.reason;
}

async function readWhole(from: FileHandle, into: Uint8Array, position: number): Promise<void> {
  for (let done = 0; done < into.byteLength; ) {
    const { bytesRead } = await from.read(into, done, into.byteLength - done, position + done);
    if (bytesRead === 0) throw new BangerError("unavailable", `there is nothing at ${position + done}`);
    done += bytesRead;
  }
}

/** One generator for all workers: each takes the next piece. */
function* cut(ranges: readonly ByteRange[]): Generator<ByteRange> {
  for (const range of ranges) {
    for (let start = range.start; start < range.end; start += PIECE_BYTES) {
      yield { start, end: Math.min(range.end, start + PIECE_BYTES) };
    }
  }
}
