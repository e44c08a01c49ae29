/** Layers to a root file system image: an index of each, a plan over all, one pass that writes. Nothing is unpacked to disk. */
import { createHash } from "node:crypto";
import { stat } from "node:fs/promises";
import type { Digest } from "../../model/digest.ts";
import { splitDigest } from "../../model/digest.ts";
import { BangerError } from "../../model/errors.ts";
import { createSquashfs } from "../squashfs.ts";
import { DEFAULT_LIMITS, ImageBudget, type ImageLimits } from "../tar/limits.ts";
import { emitMerged } from "./emit.ts";
import { type LayerIndex, LayerIndexer } from "./layer-index.ts";
import { type LayerFile, openLayer } from "./layer-stream.ts";
import { planMerge } from "./plan.ts";

export interface MergeLayer extends LayerFile {
  /** The digest of the uncompressed tar; undefined: then the tar must have its end mark. */
  readonly diffId: Digest | undefined;
  /** Made while the layer was downloaded, with `indexLayer`; then its contents are not checked again. */
  readonly index?: LayerIndex;
}

export interface MergeOptions {
  readonly limits?: ImageLimits;
  /** Times later than this are set back to it; default: none are. Unix seconds. */
  readonly epochSeconds?: number;
  readonly onStage?: (stage: string) => void;
  readonly signal?: AbortSignal;
}

/** How many layers are indexed at once. */
const INDEXED_AT_ONCE = 2;

/**
 * Writes the root file system of the layers, from the lowest up, to `path`, which must not exist; on failure the caller removes
 * it. Equal layers give equal files. Needs no root. Errors: `invalid_argument` (damaged, hostile, over a limit, not its
 * `diffId`), `unsupported`, `unavailable` (a program is missing), `resource_exhausted`, `cancelled`.
 */
export async function mergeLayers(
  layers: readonly MergeLayer[],
  path: string,
  options: MergeOptions = {},
): Promise<void> {
  const budget = new ImageBudget(options.limits ?? DEFAULT_LIMITS);
  const withSignal = options.signal === undefined ? {} : { signal: options.signal };
  const before = await Promise.all(layers.map(stampOf));
  options.onStage?.("checking layers");
  const indexes = await indexAll(layers, { budget, ...withSignal });
  const plan = planMerge(indexes, budget);
  options.onStage?.("writing the root file system");
  let acls = 0;
  const onAclLeftOut = (): void => void (acls += 1);
  const tar = emitMerged({ files: layers, plan, budget, onAclLeftOut, ...withSignal });
  const epochSeconds = options.epochSeconds ?? plan.newestSeconds;
  await createSquashfs(tar, path, { epochSeconds, ...withSignal });
  if (acls > 0) {
    options.onStage?.(
      `left out the access control lists of ${acls} files, which no root file system image can hold; their modes stay`,
    );
  }
  for (const [index, layer] of layers.entries()) {
    if ((await stampOf(layer)) !== before[index]) {
      throw new BangerError("invalid_argument", `${layer.name} changed while it was read`);
    }
  }
}

/**
 * Reads a layer's uncompressed bytes to their end and checks them against `diffId`. Can run while they arrive. Errors:
 * `invalid_argument`, `unsupported`, and those of the source.
 */
export async function indexLayer(
  source: AsyncIterable<Buffer>,
  layer: { readonly name: string; readonly diffId: Digest | undefined; readonly budget: ImageBudget },
): Promise<LayerIndex> {
  const indexer = new LayerIndexer(layer.budget);
  const expected = layer.diffId === undefined ? undefined : splitDigest(layer.diffId);
  const hash = expected === undefined ? undefined : createHash(expected.algorithm);
  try {
    for await (const chunk of source) {
      hash?.update(chunk);
      indexer.push(chunk);
    }
    // The digest first: it says better than the tar that something is missing.
    if (hash !== undefined && expected !== undefined && hash.digest("hex") !== expected.hex) {
      throw new BangerError(
        "invalid_argument",
        `${layer.name} is not what its image says: it is truncated, damaged or another layer`,
        { details: { diffId: layer.diffId } },
      );
    }
    return indexer.end({ marked: hash === undefined });
  } catch (error) {
    throw named(error, layer.name);
  }
}

async function indexAll(
  layers: readonly MergeLayer[],
  options: { readonly budget: ImageBudget; readonly signal?: AbortSignal },
): Promise<LayerIndex[]> {
  const indexes: LayerIndex[] = [];
  const todo = [...layers.entries()].toReversed();
  const worker = async (): Promise<void> => {
    for (let next = todo.pop(); next !== undefined; next = todo.pop()) {
      const [place, layer] = next;
      if (layer.index !== undefined) options.budget.addEntries(layer.index.count);
      indexes[place] =
        layer.index ?? (await indexLayer(openLayer(layer, options), { ...layer, budget: options.budget }));
    }
  };
  const outcomes = await Promise.allSettled(Array.from({ length: INDEXED_AT_ONCE }, worker));
  for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  return indexes;
}

/** Says which layer it was. */
function named(error: unknown, name: string): unknown {
  if (!(error instanceof BangerError) || error.message.includes(name)) return error;
  return new BangerError(error.code, `${name}: ${error.message}`, {
    ...(error.cure === undefined ? {} : { cure: error.cure }),
    details: error.details,
    cause: error,
  });
}

async function stampOf(layer: LayerFile): Promise<string> {
  const { ino, size, mtimeMs } = await stat(layer.path);
  return `${ino} ${size} ${mtimeMs}`;
}
