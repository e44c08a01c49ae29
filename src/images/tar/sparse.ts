/** The maps of sparse files: GNU's old one in the header, and its three PAX ones ("Storing Sparse Files", GNU tar manual). */

import { damagedTar, type Extent } from "./entry.ts";
import { BLOCK_BYTES, readNumber } from "./header.ts";
import { type PaxRecords, paxNumber } from "./pax.ts";

/** Of a map: more than any file system makes of a file, less than what would hurt. */
const MAX_EXTENTS = 65_536;
const EXTENT_BYTES = 24;

const SPARSE_KEYS = new Set(
  ["major", "minor", "name", "realsize", "size", "map", "numblocks", "offset", "numbytes"].map(
    (key) => `GNU.sparse.${key}`,
  ),
);

/** What the PAX records say of a sparse file; its map may be in them or (`1.0`) before its contents. */
export interface PaxSparse {
  readonly sizeBytes: number;
  readonly name: string | undefined;
  /** Undefined: the map stands before the contents. */
  readonly extents: readonly Extent[] | undefined;
}

/** Undefined when the file is not sparse. Errors: `invalid_argument`. */
export function readPaxSparse(records: PaxRecords): PaxSparse | undefined {
  const odd = records.find(([key]) => key.startsWith("GNU.sparse.") && !SPARSE_KEYS.has(key));
  if (odd !== undefined) throw damagedTar("a sparse file has a record of an unknown kind");
  const last = (key: string): string | undefined => records.findLast(([own]) => own === key)?.[1];
  const name = last("GNU.sparse.name");
  const major = last("GNU.sparse.major");
  if (major !== undefined) {
    if (major !== "1" || last("GNU.sparse.minor") !== "0")
      throw damagedTar("a sparse file has a map of an unknown kind");
    return { sizeBytes: paxNumber(last("GNU.sparse.realsize") ?? ""), name, extents: undefined };
  }
  const size = last("GNU.sparse.size");
  if (size === undefined) {
    if (records.some(([key]) => key.startsWith("GNU.sparse."))) throw damagedTar("a sparse file has no size");
    return undefined;
  }
  const numbers =
    last("GNU.sparse.map")?.split(",").map(paxNumber) ??
    records
      .filter(([key]) => key === "GNU.sparse.offset" || key === "GNU.sparse.numbytes")
      .map(([key, value], index) => {
        if ((key === "GNU.sparse.offset") !== (index % 2 === 0))
          throw damagedTar("a sparse file has a torn map");
        return paxNumber(value);
      });
  const extents = pairs(numbers);
  if (paxNumber(last("GNU.sparse.numblocks") ?? "") !== extents.length) {
    throw damagedTar("a sparse file has a torn map");
  }
  return { sizeBytes: paxNumber(size), name, extents };
}

/** Reads the map that stands before the contents of a PAX 1.0 sparse file: decimal lines, padded to a block. */
export class SparseMapReader {
  #text = "";
  #numbers: number[] = [];

  /** Takes one block; returns the map when it is complete. Errors: `invalid_argument`. */
  push(bytes: Buffer, at: number): readonly Extent[] | undefined {
    const lines = (this.#text + bytes.toString("latin1", at, at + BLOCK_BYTES)).split("\n");
    this.#text = lines.pop() ?? "";
    for (const line of lines) {
      this.#numbers.push(paxNumber(line));
      const [count = 0] = this.#numbers;
      checkExtentCount(count);
      if (this.#numbers.length === 1 + 2 * count) return pairs(this.#numbers.slice(1));
    }
    if (this.#text.length > 20) throw damagedTar("a sparse file has a map that is none");
    return undefined;
  }
}

/** The pieces named in an old GNU header or in one of its extension blocks. Errors: `invalid_argument`. */
export function readOldExtents(bytes: Buffer, at: number, count: number): Extent[] {
  const extents: Extent[] = [];
  for (let index = 0; index < count; index += 1) {
    const from = at + index * EXTENT_BYTES;
    if (bytes[from] === 0) break;
    extents.push({ offset: readNumber(bytes, from, 12), sizeBytes: readNumber(bytes, from + 12, 12) });
  }
  return extents;
}

/** Checks a map against the sizes of its file. Errors: `invalid_argument`. */
export function checkExtents(
  extents: readonly Extent[],
  sizes: { sizeBytes: number; storedBytes: number },
): void {
  checkExtentCount(extents.length);
  let end = 0;
  let stored = 0;
  for (const extent of extents) {
    if (extent.offset < end || extent.sizeBytes < 0) throw damagedTar("a sparse file has a map in disorder");
    end = extent.offset + extent.sizeBytes;
    stored += extent.sizeBytes;
  }
  if (end > sizes.sizeBytes || stored !== sizes.storedBytes || !Number.isSafeInteger(end)) {
    throw damagedTar("a sparse file has a map that does not fit its size");
  }
}

function pairs(numbers: readonly number[]): Extent[] {
  if (numbers.length % 2 !== 0) throw damagedTar("a sparse file has a torn map");
  const extents: Extent[] = [];
  for (let index = 0; index < numbers.length; index += 2) {
    extents.push({ offset: numbers[index] ?? 0, sizeBytes: numbers[index + 1] ?? 0 });
  }
  return extents;
}

/** Errors: `invalid_argument`. */
export function checkExtentCount(count: number): void {
  if (count > MAX_EXTENTS) throw damagedTar(`a sparse file has more than ${MAX_EXTENTS} pieces`);
}
