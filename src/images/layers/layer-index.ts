/**
 * What the merge must know of a layer, gathered while its tar streams past, in any order of layers: the kind and names of its
 * entries, packed into bytes so that a million of them cost tens of megabytes.
 */
import type { TarEntry, TarKind } from "../tar/entry.ts";
import type { ImageBudget } from "../tar/limits.ts";
import { TarReader, type TarSink } from "../tar/reader.ts";
import type { IndexedEntry } from "./apply.ts";

const KINDS: readonly TarKind[] = ["file", "directory", "symlink", "hardlink", "character", "block", "fifo"];
const CHUNK_BYTES = 256 * 1024;
/** Kind, and the lengths of two names. */
const FIXED_BYTES = 1 + 4 + 4;
/** The times that squashfs holds (its inodes have 32 unsigned bits). */
const MAX_SECONDS = 2 ** 32 - 1;

/** Finished, it never changes. */
export interface LayerIndex {
  readonly count: number;
  /** The latest time of an entry, of those that squashfs can hold; 0 when there is none. */
  readonly newestSeconds: number;
  /** In the order of the archive. */
  entries(): Generator<IndexedEntry>;
}

/** Feed it the layer's uncompressed bytes, then call `end`. Both throw `invalid_argument` or `unsupported`. */
export class LayerIndexer {
  readonly #reader: TarReader;
  readonly #budget: ImageBudget;
  readonly #chunks: Buffer[] = [];
  #chunk: Buffer = Buffer.alloc(0);
  #used = 0;
  #count = 0;
  #newestSeconds = 0;

  constructor(budget: ImageBudget) {
    const sink: TarSink = {
      entry: (entry) => {
        this.#add(entry);
        return false;
      },
      data: () => undefined,
      zeros: () => undefined,
      end: () => undefined,
    };
    this.#reader = new TarReader(sink, budget);
    this.#budget = budget;
  }

  push(bytes: Buffer): void {
    this.#reader.push(bytes);
  }

  end(options: { readonly marked: boolean }): LayerIndex {
    this.#reader.end(options);
    const chunks = [...this.#chunks, this.#chunk.subarray(0, this.#used)];
    return { count: this.#count, newestSeconds: this.#newestSeconds, entries: () => unpack(chunks) };
  }

  #add(entry: TarEntry): void {
    this.#count += 1;
    this.#newestSeconds = Math.max(this.#newestSeconds, Math.min(entry.mtimeSeconds, MAX_SECONDS));
    const size = FIXED_BYTES + entry.path.length + entry.linkPath.length;
    this.#budget.addNameBytes(size - FIXED_BYTES);
    if (this.#used + size > this.#chunk.length) {
      if (this.#used > 0) this.#chunks.push(this.#chunk.subarray(0, this.#used));
      this.#chunk = Buffer.allocUnsafeSlow(Math.max(CHUNK_BYTES, size));
      this.#used = 0;
    }
    let at = this.#chunk.writeUInt8(KINDS.indexOf(entry.kind), this.#used);
    at = this.#chunk.writeUInt32LE(entry.path.length, at);
    at = this.#chunk.writeUInt32LE(entry.linkPath.length, at);
    at += this.#chunk.write(entry.path, at, "latin1");
    this.#used = at + this.#chunk.write(entry.linkPath, at, "latin1");
  }
}

function* unpack(chunks: readonly Buffer[]): Generator<IndexedEntry> {
  for (const chunk of chunks) {
    let at = 0;
    while (at < chunk.length) {
      const link = at + FIXED_BYTES + chunk.readUInt32LE(at + 1);
      const end = link + chunk.readUInt32LE(at + 5);
      yield {
        kind: KINDS[chunk[at] ?? 0] ?? "file",
        path: chunk.toString("latin1", at + FIXED_BYTES, link),
        linkPath: chunk.toString("latin1", link, end),
      };
      at = end;
    }
  }
}
