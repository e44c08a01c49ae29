/**
 * Reads a tar that is fed to it in chunks of any size, without copying contents. It understands what GNU tar, bsdtar, Go and
 * Python write, takes nothing twice that could be read in two ways, and keeps no more than one header's worth of bytes.
 */
import { damagedTar, type Extent, type TarEntry } from "./entry.ts";
import { EntryBuilder } from "./entry-builder.ts";
import { BLOCK_BYTES, parseHeader, type RawHeader } from "./header.ts";
import type { ImageBudget } from "./limits.ts";
import { checkExtentCount, readOldExtents, SparseMapReader } from "./sparse.ts";

/** Of one long name or extended header. */
const MAX_META_BYTES = 1024 * 1024;

export interface TarSink {
  /** A new entry. Its contents are passed on only when this returns true. */
  entry(entry: TarEntry): boolean;
  /** Some contents; the memory is the chunk's that was pushed. */
  data(bytes: Uint8Array): void;
  /** A hole in the contents, of as many zeros. */
  zeros(count: number): void;
  /** The contents of an entry for which `entry` returned true are complete. */
  end(): void;
}

type Step = "header" | "meta" | "old-map" | "pax-map" | "body" | "padding" | "end-mark" | "after-end";

export class TarReader {
  readonly #sink: TarSink;
  readonly #budget: ImageBudget;
  readonly #builder: EntryBuilder;
  #step: Step = "header";
  /** Bytes of the step that are still to come, for `meta`, `body` and `padding`. */
  #left = 0;
  #paddingAfter = 0;
  readonly #block: Buffer = Buffer.alloc(BLOCK_BYTES);
  #held = 0;
  #meta: Buffer = Buffer.alloc(0);
  #metaType = "";
  #header: RawHeader | undefined;
  #oldExtents: Extent[] = [];
  #oldSize = 0;
  #mapReader = new SparseMapReader();
  #wanted = false;
  #extents: readonly Extent[] = [];
  #extent = 0;
  #position = 0;
  #sizeBytes = 0;

  constructor(sink: TarSink, budget: ImageBudget) {
    this.#sink = sink;
    this.#budget = budget;
    this.#builder = new EntryBuilder(budget.limits);
  }

  /** Errors: `invalid_argument` (damaged, hostile, over a limit), `unsupported`, and what the sink throws. */
  push(bytes: Buffer): void {
    let at = 0;
    while (at < bytes.length) {
      switch (this.#step) {
        case "meta":
        case "body":
        case "padding": {
          const count = Math.min(this.#left, bytes.length - at);
          this.#take(bytes, at, at + count);
          at += count;
          break;
        }
        case "header":
        case "end-mark":
        case "after-end":
        case "old-map":
        case "pax-map":
          if (this.#held === 0 && bytes.length - at >= BLOCK_BYTES) {
            this.#onBlock(bytes, at);
            at += BLOCK_BYTES;
          } else {
            const count = Math.min(BLOCK_BYTES - this.#held, bytes.length - at);
            bytes.copy(this.#block, this.#held, at, at + count);
            at += count;
            this.#held = (this.#held + count) % BLOCK_BYTES;
            if (this.#held === 0) this.#onBlock(this.#block, 0);
          }
      }
    }
  }

  /**
   * Call when the input has ended. `marked` insists on the end mark, for an archive that nothing else vouches for.
   * Errors: `invalid_argument` (truncated).
   */
  end(options: { readonly marked: boolean }): void {
    if (this.#held > 0) throw damagedTar("it is truncated");
    if (this.#step === "after-end") return;
    // umoci (0.4) leaves out the end mark and even the padding before it.
    const complete = (this.#step === "header" || this.#step === "padding") && !this.#builder.pending;
    if (options.marked || !(complete || this.#step === "end-mark")) throw damagedTar("it is truncated");
  }

  #onBlock(bytes: Buffer, at: number): void {
    switch (this.#step) {
      case "header":
      case "end-mark":
      case "after-end":
        this.#onHeader(bytes, at);
        return;
      case "old-map":
        this.#onOldMap(bytes, at);
        return;
      case "pax-map":
        this.#onPaxMap(bytes, at);
        return;
      case "meta":
      case "body":
      case "padding":
        throw new Error("these are not read by blocks");
    }
  }

  #onHeader(bytes: Buffer, at: number): void {
    if (isZero(bytes, at)) {
      if (this.#builder.pending) throw damagedTar("it ends after an extended header");
      this.#step = this.#step === "header" ? "end-mark" : "after-end";
      return;
    }
    // GNU tar pads with zeros; anything else behind the end could be a second archive that others would read.
    if (this.#step !== "header") throw damagedTar("there are bytes after its end");
    const header = parseHeader(bytes, at);
    if ("xXgLK".includes(header.type)) {
      if (header.sizeBytes < 0 || header.sizeBytes > MAX_META_BYTES) {
        throw damagedTar(`an extended header has more than ${MAX_META_BYTES} bytes`);
      }
      this.#metaType = header.type;
      this.#meta = Buffer.alloc(header.sizeBytes);
      this.#begin("meta", header.sizeBytes);
      return;
    }
    this.#header = header;
    if (header.type !== "S") this.#onEntry(undefined);
    else this.#beginOldMap(bytes, at);
  }

  /** GNU tar manual, "Basic Tar Format": `struct oldgnu_header` and `struct sparse_header`. */
  #beginOldMap(bytes: Buffer, at: number): void {
    const block = bytes.subarray(at, at + BLOCK_BYTES);
    this.#oldSize = this.#builder.oldSparseSize(block);
    this.#oldExtents = readOldExtents(block, 386, 4);
    if (block[482] === 0) this.#onEntry({ extents: this.#oldExtents, sizeBytes: this.#oldSize });
    else this.#step = "old-map";
  }

  #onOldMap(bytes: Buffer, at: number): void {
    this.#oldExtents.push(...readOldExtents(bytes, at, 21));
    checkExtentCount(this.#oldExtents.length);
    if (bytes[at + 504] === 0) this.#onEntry({ extents: this.#oldExtents, sizeBytes: this.#oldSize });
  }

  #onPaxMap(bytes: Buffer, at: number): void {
    const map = this.#mapReader.push(bytes, at);
    this.#left -= BLOCK_BYTES;
    if (this.#left < 0) throw damagedTar("a sparse file has a map larger than itself");
    if (map !== undefined) this.#onContents(this.#builder.withMap(map, this.#left));
  }

  #onEntry(old: { readonly extents: readonly Extent[]; readonly sizeBytes: number } | undefined): void {
    if (this.#header === undefined) return;
    this.#budget.addEntries(1);
    const { entry, storedBytes, mapFollows } = this.#builder.build(this.#header, old);
    this.#left = storedBytes;
    this.#paddingAfter = padding(storedBytes);
    if (mapFollows) {
      this.#mapReader = new SparseMapReader();
      this.#step = "pax-map";
    } else this.#onContents(entry);
  }

  /** The entry is complete and `#left` bytes of it follow. */
  #onContents(entry: TarEntry): void {
    this.#budget.addBytes(entry.sizeBytes + BLOCK_BYTES);
    this.#wanted = this.#sink.entry(entry);
    this.#sizeBytes = entry.sizeBytes;
    this.#extents = entry.extents ?? [{ offset: 0, sizeBytes: entry.sizeBytes }];
    this.#extent = 0;
    this.#position = 0;
    this.#begin("body", this.#left);
  }

  #begin(step: "meta" | "body", count: number): void {
    this.#step = step;
    this.#left = count;
    this.#paddingAfter = padding(count);
    if (count === 0) this.#finish();
  }

  #take(bytes: Buffer, from: number, to: number): void {
    if (this.#step === "meta") bytes.copy(this.#meta, this.#meta.length - this.#left, from, to);
    else if (this.#step === "body" && this.#wanted) this.#spread(bytes.subarray(from, to));
    this.#left -= to - from;
    if (this.#left === 0) this.#finish();
  }

  #finish(): void {
    if (this.#step === "meta") this.#builder.addMeta(this.#metaType, this.#meta);
    if (this.#step === "body" && this.#wanted) {
      if (this.#sizeBytes > this.#position) this.#sink.zeros(this.#sizeBytes - this.#position);
      this.#sink.end();
    }
    this.#left = this.#step === "padding" ? 0 : this.#paddingAfter;
    this.#step = this.#left === 0 ? "header" : "padding";
  }

  /** Stored bytes to their places in the file. */
  #spread(stored: Buffer): void {
    let at = 0;
    while (at < stored.length) {
      const extent = this.#extents[this.#extent];
      if (extent === undefined) throw damagedTar("a sparse file has more contents than its map");
      if (extent.offset > this.#position) {
        this.#sink.zeros(extent.offset - this.#position);
        this.#position = extent.offset;
      }
      const end = extent.offset + extent.sizeBytes;
      const count = Math.min(end - this.#position, stored.length - at);
      if (count > 0) this.#sink.data(stored.subarray(at, at + count));
      at += count;
      this.#position += count;
      if (this.#position >= end) this.#extent += 1;
    }
  }
}

function padding(count: number): number {
  return (BLOCK_BYTES - (count % BLOCK_BYTES)) % BLOCK_BYTES;
}

function isZero(bytes: Buffer, at: number): boolean {
  for (let index = at; index < at + BLOCK_BYTES; index += 1) if (bytes[index] !== 0) return false;
  return true;
}
