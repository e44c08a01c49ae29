/** The map of a sparse file: where its data is. GNU tar's format 1.0, as in protocol/README.md. */
import { fstatSync, readSync } from "node:fs";
import { damaged, decimal, padding } from "../../lib/tar/member.ts";
import type { TarReader } from "../../lib/tar/reader.ts";

/** One piece of data: where it begins, and its bytes. */
export type Piece = readonly [start: number, length: number];

/** Pieces that a map of ours has at most; what is behind goes into the last one. */
const MAX_PIECES = 8_192;
const MAX_FOREIGN_PIECES = 2 ** 20;
const MAX_LINE = 20;
/** What a hole is made of. */
const GRAIN = 4_096;
const SCAN_BYTES = 4 * 1024 * 1024;

/**
 * Where the data of a file is; undefined when it has no holes worth a map. Zeros are taken for holes where the file has fewer blocks
 * than its size needs: no runtime offers lseek(2) with SEEK_HOLE.
 */
export function findPieces(fd: number): Piece[] | undefined {
  const { size, blocks } = fstatSync(fd);
  if (blocks * 512 >= size) return undefined;
  const pieces: [number, number][] = [];
  const buffer = Buffer.allocUnsafe(SCAN_BYTES);
  for (let at = 0; at < size; ) {
    const count = readSync(fd, buffer, 0, Math.min(SCAN_BYTES, size - at), at);
    if (count === 0) break;
    for (let from = 0; from < count; from += GRAIN) {
      const grain = buffer.subarray(from, Math.min(from + GRAIN, count));
      if (grain.equals(ZEROS.subarray(0, grain.length))) continue;
      const last = pieces.at(-1);
      const start = at + from;
      if (last !== undefined && (last[0] + last[1] === start || pieces.length >= MAX_PIECES)) {
        last[1] = start + grain.length - last[0];
      } else pieces.push([start, grain.length]);
    }
    at += count;
  }
  return pieces;
}

const ZEROS = Buffer.alloc(GRAIN);

/** The map as text that fills whole blocks. The last line tells the size, as a piece without bytes. */
export function formatMap(pieces: readonly Piece[], size: number): Buffer {
  const lines = [pieces.length + 1, ...[...pieces, [size, 0]].flat()];
  const text = Buffer.from(`${lines.join("\n")}\n`);
  return Buffer.concat([text, Buffer.alloc(padding(text.length))]);
}

/** Reads the map off the beginning of a sparse file's content. Also returns what followed it in the last piece. Errors: `invalid_argument`. */
export async function readMap(
  reader: TarReader,
  size: number,
): Promise<{ readonly pieces: Piece[]; readonly rest: Buffer }> {
  const numbers: number[] = [];
  let line = "";
  let taken = 0;
  let gap: number | undefined;
  for (;;) {
    const bytes = await reader.content();
    if (bytes === undefined) throw damaged("the map of a sparse file is cut off");
    let at = 0;
    for (; gap === undefined && at < bytes.length; at += 1) {
      taken += 1;
      const byte = bytes[at] ?? 0;
      if (byte !== 0x0a) {
        line += String.fromCharCode(byte);
        if (line.length > MAX_LINE) throw damaged("the map of a sparse file is malformed");
        continue;
      }
      numbers.push(decimal(Buffer.from(line)));
      line = "";
      const [count = 0] = numbers;
      if (count > MAX_FOREIGN_PIECES) throw damaged("the map of a sparse file has too many pieces");
      if (numbers.length === 1 + 2 * count) gap = padding(taken);
    }
    if (gap === undefined) continue;
    const skipped = Math.min(gap, bytes.length - at);
    gap -= skipped;
    if (gap === 0) return { pieces: pairs(numbers, size), rest: Buffer.from(bytes.subarray(at + skipped)) };
  }
}

function pairs(numbers: readonly number[], size: number): Piece[] {
  const pieces: Piece[] = [];
  let end = 0;
  for (let at = 1; at + 1 < numbers.length; at += 2) {
    const [start = 0, length = 0] = [numbers[at], numbers[at + 1]];
    if (start < end || start + length > size) throw damaged("the map of a sparse file lies");
    end = start + length;
    pieces.push([start, length]);
  }
  return pieces;
}
