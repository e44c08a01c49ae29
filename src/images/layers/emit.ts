/**
 * One pass over the layers that yields the merged tar: every entry that won, under the names it ends up with. All is copied
 * into a few large pieces of memory that are used again, which costs less than new memory for everything that streams past.
 */
import { type ByteString, damagedTar, type TarEntry } from "../tar/entry.ts";
import { ImageBudget, type ImageLimits, limitError } from "../tar/limits.ts";
import { TarReader, type TarSink } from "../tar/reader.ts";
import { END_MARK, paddingOf, writeHeader } from "../tar/writer.ts";
import { type LayerFile, openLayer } from "./layer-stream.ts";
import type { LayerPlan, MergePlan } from "./plan.ts";
import { pathOf, type TreeNode } from "./tree.ts";

const PIECE_BYTES = 256 * 1024;
/** Kept to be used again; more are needed only while many headers come of few bytes. */
const MAX_SPARE = 4;
/** A hole is made of these. */
const ZEROS: Buffer = Buffer.alloc(PIECE_BYTES);
/** What squashfs can hold. */
const MAX_SECONDS = 2 ** 32 - 1;

export interface EmitOptions {
  readonly files: readonly LayerFile[];
  readonly plan: MergePlan;
  readonly budget: ImageBudget;
  readonly signal?: AbortSignal;
  /** Hears of each entry whose access control list was left out. */
  readonly onAclLeftOut?: () => void;
}

/**
 * Yields pieces that are valid until the next is asked for. Errors: those of `openLayer`; `invalid_argument` when a layer is not what was planned with.
 */
export async function* emitMerged(options: EmitOptions): AsyncGenerator<Uint8Array> {
  const { files, plan, signal, onAclLeftOut = () => undefined } = options;
  const out = new Gatherer();
  const { limits } = options.budget;
  for (const node of plan.implicit) {
    out.add(writeHeader(implicitDirectory(pathWithin(limits, node), plan.newestSeconds)));
  }
  yield* out.take();
  for (const [index, file] of files.entries()) {
    const layer = plan.layers[index];
    if (layer === undefined || layer.end === 0) continue;
    const sink = new WinnerSink(layer, { out, limits, onAclLeftOut });
    // What it may hold was counted when it was indexed; here each layer starts anew.
    const budget = new ImageBudget(limits);
    const reader = new TarReader(sink, budget);
    for await (const chunk of openLayer(file, { budget, ...(signal === undefined ? {} : { signal }) })) {
      reader.push(chunk);
      yield* out.take();
      if (sink.done) break;
    }
    if (!sink.done) throw damagedTar(`${file.name} changed while it was read`);
  }
  out.add(END_MARK);
  yield* out.take({ all: true });
}

class WinnerSink implements TarSink {
  readonly #plan: LayerPlan;
  readonly #out: Gatherer;
  readonly #limits: ImageLimits;
  readonly #onAclLeftOut: () => void;
  #ordinal = 0;
  #names: readonly TreeNode[] = [];
  #entry: TarEntry | undefined;

  constructor(
    plan: LayerPlan,
    to: { readonly out: Gatherer; readonly limits: ImageLimits; readonly onAclLeftOut: () => void },
  ) {
    this.#plan = plan;
    this.#out = to.out;
    this.#limits = to.limits;
    this.#onAclLeftOut = to.onAclLeftOut;
  }

  get done(): boolean {
    return this.#ordinal >= this.#plan.end && this.#entry === undefined;
  }

  entry(entry: TarEntry): boolean {
    if (this.#entry !== undefined) throw damagedTar("an entry began in another");
    this.#names = this.#plan.names(this.#ordinal);
    this.#ordinal += 1;
    const [first] = this.#names;
    if (first === undefined) return false;
    if (entry.kind !== first.kind) throw damagedTar("it changed while it was read");
    if (entry.hasAcl) this.#onAclLeftOut();
    this.#out.add(writeHeader(normalized(entry, pathWithin(this.#limits, first))));
    this.#entry = entry;
    return true;
  }

  data(bytes: Uint8Array): void {
    this.#out.add(bytes);
  }

  zeros(count: number): void {
    this.#out.addZeros(count);
  }

  end(): void {
    if (this.#entry === undefined) return;
    this.#out.addZeros(paddingOf(this.#entry.sizeBytes));
    const [first, ...others] = this.#names;
    if (first !== undefined) {
      for (const other of others) {
        const link = { kind: "hardlink", linkPath: pathOf(first), sizeBytes: 0, xattrs: [] } as const;
        this.#out.add(writeHeader({ ...normalized(this.#entry, pathWithin(this.#limits, other)), ...link }));
      }
    }
    this.#entry = undefined;
  }
}

/** Links inside lead to places with longer names than any entry has. */
function pathWithin({ maxPathBytes }: ImageLimits, node: TreeNode): ByteString {
  const path = pathOf(node);
  if (path.length <= maxPathBytes) return path;
  throw limitError("maxPathBytes", maxPathBytes, "the image has a name with more bytes than");
}

function normalized(entry: TarEntry, path: ByteString): TarEntry {
  return {
    ...entry,
    path,
    mtimeSeconds: Math.min(Math.max(entry.mtimeSeconds, 0), MAX_SECONDS),
  };
}

/** What `mkdir -p` by root makes. */
function implicitDirectory(path: ByteString, mtimeSeconds: number): TarEntry {
  return {
    kind: "directory",
    path,
    linkPath: "",
    mode: 0o755,
    uid: 0,
    gid: 0,
    mtimeSeconds,
    sizeBytes: 0,
    major: 0,
    minor: 0,
    xattrs: [],
    hasAcl: false,
    extents: undefined,
  };
}

/** Collects bytes in order. */
class Gatherer {
  /** Full pieces, and how many zeros stand between them. */
  #ready: (Buffer | number)[] = [];
  readonly #spare: Buffer[] = [];
  #piece: Buffer = Buffer.allocUnsafeSlow(PIECE_BYTES);
  #used = 0;

  add(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) {
      if (this.#used === PIECE_BYTES) this.#flush();
      const part = bytes.subarray(at, at + PIECE_BYTES - this.#used);
      this.#piece.set(part, this.#used);
      this.#used += part.length;
      at += part.length;
    }
  }

  addZeros(count: number): void {
    if (count <= PIECE_BYTES) {
      this.add(ZEROS.subarray(0, count));
      return;
    }
    this.#flush();
    this.#ready.push(count);
  }

  /** What is ready; with `all`, also what waits for more. */
  *take({ all = false }: { all?: boolean } = {}): Generator<Uint8Array> {
    if (all) this.#flush();
    const ready = this.#ready;
    this.#ready = [];
    for (const piece of ready) {
      if (typeof piece === "number") yield* zeros(piece);
      else {
        yield piece;
        if (piece.length === PIECE_BYTES && this.#spare.length < MAX_SPARE) this.#spare.push(piece);
      }
    }
  }

  #flush(): void {
    if (this.#used === 0) return;
    this.#ready.push(this.#piece.subarray(0, this.#used));
    this.#piece = this.#spare.pop() ?? Buffer.allocUnsafeSlow(PIECE_BYTES);
    this.#used = 0;
  }
}

function* zeros(count: number): Generator<Uint8Array> {
  for (let left = count; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}
