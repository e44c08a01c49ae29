/** Imports a root file system from a tar file, plain or compressed. */
import { constants, createReadStream } from "node:fs";
import { open } from "node:fs/promises";
import { basename } from "node:path";
import { decompressStream, detectCompression, MAGIC_BYTES } from "../lib/decompress.ts";
import { BangerError } from "../model/errors.ts";
import type { ImageConfig } from "../model/spec.ts";
import type { Image, ImageBlobs } from "./blobs.ts";
import { createSquashfs } from "./squashfs.ts";
import { checkTar, TAR_LIMITS, type TarLimits } from "./tar-check.ts";

export interface ImportOptions {
  /** How to run it; a tar says nothing about that. */
  readonly config?: ImageConfig;
  readonly limits?: TarLimits;
  readonly onStage?: (stage: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Checks and publishes the root file system in a tar file, with its owners, in one pass. The same file gives
 * the same image; times later than the file's own are set back to it. When refused, nothing is left behind.
 * Errors: `not_found` (no such file), `invalid_argument` (damaged, hostile, too large, empty), `unsupported`
 * (`docker save`), `unavailable` (a program is missing), `resource_exhausted`, `cancelled`.
 */
export async function importTar(
  path: string,
  blobs: ImageBlobs,
  options: ImportOptions = {},
): Promise<Image> {
  const { start, modifiedSeconds } = await readStart(path);
  const { limits = TAR_LIMITS, signal } = options;
  const withSignal = signal === undefined ? {} : { signal };
  options.onStage?.(`importing ${basename(path)}`);
  return blobs.publish(
    { config: options.config ?? {}, source: `import ${basename(path)}` },
    async (rootfsPath) => {
      const file = createReadStream(path, { highWaterMark: 256 * 1024 });
      try {
        const compression = detectCompression(start);
        const tar =
          compression === undefined
            ? (file as AsyncIterable<Uint8Array>)
            : decompressStream(file as AsyncIterable<Uint8Array>, compression, {
                what: basename(path),
                // Headers and padding come on top of the contents.
                limitBytes: limits.totalBytes * 2,
                ...withSignal,
              });
        await createSquashfs(checkTar(tar, limits), rootfsPath, {
          epochSeconds: modifiedSeconds,
          ...withSignal,
        });
      } finally {
        file.destroy();
      }
    },
  );
}

async function readStart(path: string): Promise<{ start: Uint8Array; modifiedSeconds: number }> {
  // A fifo without a writer would hold the open for ever (open(2)).
  const handle = await open(path, constants.O_RDONLY | constants.O_NONBLOCK).catch((error: unknown) => {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR")
      throw new BangerError("not_found", `there is no file ${path}`);
    if (code === "EACCES")
      throw new BangerError("permission_denied", `cannot read ${path}`, { cause: error });
    throw error;
  });
  try {
    const facts = await handle.stat();
    if (!facts.isFile()) throw new BangerError("invalid_argument", `${path} is not a file`);
    const { buffer, bytesRead } = await handle.read(new Uint8Array(MAGIC_BYTES), 0, MAGIC_BYTES, 0);
    return {
      start: buffer.subarray(0, bytesRead),
      modifiedSeconds: Math.max(0, Math.floor(facts.mtimeMs / 1000)),
    };
  } finally {
    await handle.close();
  }
}
