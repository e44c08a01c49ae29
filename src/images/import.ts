/**
 * Imports what a tar holds, plain or compressed, from a file or a pipe: an archive of `docker save`, an OCI layout, or a root
 * file system.
 */
import { constants, createReadStream } from "node:fs";
import { access, stat } from "node:fs/promises";
import { basename, join } from "node:path";
import { withTemporaryDirectory } from "../lib/publish.ts";
import { startProgram } from "../lib/run-program.ts";
import { BangerError } from "../model/errors.ts";
import type { ImageConfig } from "../model/spec.ts";
import { takeContents } from "./archive/contents.ts";
import { readImage } from "./archive/read-image.ts";
import { sniffTar } from "./archive/sniff.ts";
import type { Image, ImageBlobs } from "./blobs.ts";
import { convertOci } from "./convert.ts";
import { openTar } from "./layers/layer-stream.ts";
import { indexLayer, type MergeLayer, mergeLayers } from "./layers/merge.ts";
import { spool } from "./layers/spool.ts";
import type { BlobStore } from "./oci/blob-store.ts";
import { DEFAULT_LIMITS, ImageBudget, type ImageLimits } from "./tar/limits.ts";

export interface ImportOptions {
  /** How to run a root file system, whose tar says nothing about that. */
  readonly config?: ImageConfig;
  readonly limits?: ImageLimits;
  readonly onStage?: (stage: string) => void;
  readonly signal?: AbortSignal;
}

export interface ImportPlaces {
  readonly blobs: ImageBlobs;
  /** Where the layers of an image go. */
  readonly store: BlobStore;
  /** For what a pipe brings; created when absent. */
  readonly scratchDir: string;
}

/**
 * Publishes the image in the file at `path`, which may be a named pipe. A root file system keeps its owners, and times later than the
 * file's own are set back to it, so that the same file gives the same image. When refused, nothing is left behind. Errors:
 * `not_found` (no such file; no image for this host), `invalid_argument` (damaged, hostile, too large, empty, several images),
 * `unsupported` (cannot run here), `unavailable` (a program is missing), `resource_exhausted`, `cancelled`.
 */
export async function importTar(
  path: string,
  places: ImportPlaces,
  options: ImportOptions = {},
): Promise<Image> {
  const modifiedSeconds = await checkFile(path);
  if (modifiedSeconds === undefined) return await importPipe(path, places, options);
  const file = createReadStream(path, { highWaterMark: 256 * 1024 });
  try {
    const source = { name: basename(path), path, modifiedSeconds };
    return await importStream(file as AsyncIterable<Buffer>, places, { ...options, source });
  } finally {
    file.destroy();
  }
}

export interface StreamOptions extends ImportOptions {
  /** What it is called, and, where the stream is a file, the file: then a root file system is read there again. */
  readonly source: { readonly name: string; readonly path?: string; readonly modifiedSeconds?: number };
}

/** The same for bytes from anywhere. Errors: as `importTar`, and those of the stream. */
export async function importStream(
  stream: AsyncIterable<Buffer>,
  places: ImportPlaces,
  options: StreamOptions,
): Promise<Image> {
  const { source, limits = DEFAULT_LIMITS, signal, onStage } = options;
  const budget = new ImageBudget(limits);
  const withSignal = signal === undefined ? {} : { signal };
  onStage?.(`importing ${source.name}`);
  const { kind, tar } = await sniffTar(openTar(stream, source.name, { budget, ...withSignal }));
  try {
    if (kind === "empty") throw new BangerError("invalid_argument", "the archive is empty");
    if (kind === "image") return await importImage(tar, places, { ...options, budget });
    const { name } = source;
    if (source.path !== undefined)
      return await importRootfs({ path: source.path, name, diffId: undefined }, places, options);
    return await withTemporaryDirectory(places.scratchDir, async (dir) => {
      const path = join(dir, "rootfs.tar");
      const index = await indexLayer(spool(tar, path), { name, diffId: undefined, budget });
      return await importRootfs({ path, name, diffId: undefined, index }, places, options);
    });
  } finally {
    await tar.return(undefined);
  }
}

async function importImage(
  tar: AsyncIterable<Buffer>,
  { blobs, store }: ImportPlaces,
  options: StreamOptions & { readonly budget: ImageBudget },
): Promise<Image> {
  const { source, limits, signal, onStage, budget } = options;
  const withSignal = signal === undefined ? {} : { signal };
  const contents = await takeContents(tar, { store, budget, ...withSignal });
  let needed: readonly string[] = [];
  try {
    const image = await readImage(contents);
    const converted = await convertOci(image, blobs, {
      source: `import ${source.name}`,
      store,
      ...(limits === undefined ? {} : { limits }),
      ...(onStage === undefined ? {} : { onStage }),
      ...withSignal,
    });
    needed = image.blobs;
    return converted;
  } finally {
    // All of it when it failed; else what the archive held besides.
    for (const digest of contents.added) if (!needed.includes(digest)) await store.remove(digest);
  }
}

async function importRootfs(
  layer: MergeLayer,
  { blobs }: ImportPlaces,
  options: StreamOptions,
): Promise<Image> {
  const { source, config = {}, limits, signal, onStage } = options;
  return await blobs.publish({ config, source: `import ${source.name}` }, async (rootfsPath) => {
    await mergeLayers([layer], rootfsPath, {
      ...(source.modifiedSeconds === undefined ? {} : { epochSeconds: source.modifiedSeconds }),
      ...(limits === undefined ? {} : { limits }),
      ...(signal === undefined ? {} : { signal }),
      ...(onStage === undefined ? {} : { onStage }),
    });
  });
}

/**
 * Another program reads the pipe: opening one that nobody writes to would hold a thread of ours for ever (fifo(7)), where it can
 * be ended.
 */
async function importPipe(path: string, places: ImportPlaces, options: ImportOptions): Promise<Image> {
  const { signal } = options;
  const program = startProgram(["cat", "--", path], {
    stdout: "pipe",
    ...(signal === undefined ? {} : { signal }),
  });
  async function* chunks(): AsyncGenerator<Buffer> {
    if (program.stdout !== undefined) yield* program.stdout as AsyncIterable<Buffer>;
    await program.done;
  }
  try {
    return await importStream(chunks(), places, { ...options, source: { name: "a pipe" } });
  } finally {
    await program.stop();
  }
}

/** The time of the file, Unix seconds; undefined for a named pipe, which is not opened: that would let its writer begin. */
async function checkFile(path: string): Promise<number | undefined> {
  const facts = await stat(path).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  if (facts.isFIFO()) return undefined;
  if (!facts.isFile()) throw new BangerError("invalid_argument", `${path} is not a file`);
  await access(path, constants.R_OK).catch((error: unknown) => {
    throw unreadable(path, error);
  });
  return Math.max(0, Math.floor(facts.mtimeMs / 1000));
}

function unreadable(path: string, error: unknown): unknown {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === "ENOENT" || code === "ENOTDIR")
    return new BangerError("not_found", `there is no file ${path}`);
  if (code === "EACCES") return new BangerError("permission_denied", `cannot read ${path}`, { cause: error });
  return error;
}
