/**
 * Blobs on disk: `<dir>/<algorithm>/<hex>`, each verified before it gets its name, and never changed afterwards. What is
 * half fetched waits beside them in `<dir>/partial`, and is nothing to anybody who reads blobs. One process writes here.
 */
import { createHash } from "node:crypto";
import { mkdir, open, readdir, readFile, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { removeLeftovers, storageError, syncPath, temporaryName } from "../../lib/publish.ts";
import { removeTree } from "../../lib/remove-tree.ts";
import { abortError } from "../../lib/run-program.ts";
import { type Digest, type DigestAlgorithm, isDigest, splitDigest } from "../../model/digest.ts";
import { BlobWriter } from "./blob-writer.ts";
import type { BlobFacts } from "./descriptor.ts";
import { digestOf } from "./digest.ts";

/** Half-fetched blobs are worth their space for this long, and up to this sum, the newest first. */
const PARTIAL_MAX_AGE_MS = 7 * 24 * 3_600_000;
const PARTIAL_MAX_BYTES = 8 * 1024 ** 3;

const ALGORITHMS: readonly DigestAlgorithm[] = ["sha256", "sha512"];

export class BlobStore {
  readonly #dir: string;

  /** `dir` is created when something is written. */
  constructor(dir: string) {
    this.#dir = dir;
  }

  /** Where the blob is or would be. */
  pathOf(digest: Digest): string {
    const { algorithm, hex } = splitDigest(digest);
    return join(this.#dir, algorithm, hex);
  }

  /** The path of a blob that is there with the right size, else undefined. Its bytes were verified when it was written. */
  async find({ digest, sizeBytes }: BlobFacts): Promise<string | undefined> {
    const path = this.pathOf(digest);
    const facts = await stat(path).catch(absent);
    return facts?.isFile() === true && facts.size === sizeBytes ? path : undefined;
  }

  /**
   * The bytes of a small blob, verified anew; undefined when it is not there or larger than `limitBytes`. One that is damaged on
   * disk is removed.
   */
  async read(digest: Digest, limitBytes: number): Promise<Buffer | undefined> {
    const path = this.pathOf(digest);
    const facts = await stat(path).catch(absent);
    if (facts?.isFile() !== true || facts.size > limitBytes) return undefined;
    const bytes = await readFile(path);
    if (digestOf(bytes, splitDigest(digest).algorithm) === digest) return bytes;
    await this.remove(digest);
    return undefined;
  }

  /**
   * Writes what `source` gives; a blob that is there already stays, and `source` is not read. Returns its path. When it
   * fails, nothing is left. Errors: `invalid_argument` (other bytes or another size than stated), `resource_exhausted`,
   * `cancelled`, and those of the source.
   */
  async put(facts: BlobFacts, source: AsyncIterable<Uint8Array>, signal?: AbortSignal): Promise<string> {
    const known = await this.find(facts);
    if (known !== undefined) return known;
    const temporary = join(this.#dir, temporaryName());
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      await using writer = await BlobWriter.open(temporary, facts);
      for await (const chunk of source) {
        if (signal?.aborted === true) throw abortError(signal);
        await writer.write(chunk);
      }
      await writer.finish();
      return await this.#publish(temporary, facts.digest);
    } catch (error) {
      throw storageError(error, this.#dir);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /** The same for bytes whose sha256 is not known before they end. Errors: as `put`, without the first. */
  async putUnnamed(
    source: AsyncIterable<Uint8Array>,
    signal?: AbortSignal,
  ): Promise<BlobFacts & { readonly path: string }> {
    const temporary = join(this.#dir, temporaryName());
    const hash = createHash("sha256");
    let sizeBytes = 0;
    try {
      await mkdir(this.#dir, { recursive: true, mode: 0o700 });
      {
        await using file = await open(temporary, "wx", 0o600);
        for await (const chunk of source) {
          if (signal?.aborted === true) throw abortError(signal);
          hash.update(chunk);
          await file.appendFile(chunk);
          sizeBytes += chunk.byteLength;
        }
        await file.sync();
      }
      const digest: Digest = `sha256:${hash.digest("hex")}`;
      return { digest, sizeBytes, path: await this.#publish(temporary, digest) };
    } catch (error) {
      throw storageError(error, this.#dir);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  /**
   * Opens what an earlier attempt left of a blob, or nothing yet, to write the rest. The caller makes sure that nobody else
   * has it open. Disposing keeps what was written for the next attempt, unless it was discarded or published.
   */
  async openPartial(facts: BlobFacts): Promise<PartialBlob> {
    const { algorithm, hex } = splitDigest(facts.digest);
    const dir = join(this.#dir, "partial");
    const path = join(dir, `${algorithm}-${hex}`);
    await mkdir(dir, { recursive: true, mode: 0o700 });
    const writer = await BlobWriter.open(path, facts);
    return {
      writer,
      publish: async () => {
        await writer.finish();
        return await this.#publish(path, facts.digest);
      },
      [Symbol.asyncDispose]: async () => {
        await writer[Symbol.asyncDispose]();
        if (writer.sizeBytes === 0) await rm(path, { force: true });
      },
    };
  }

  /** The digests of all blobs, sorted. */
  async list(): Promise<Digest[]> {
    const found: Digest[] = [];
    for (const algorithm of ALGORITHMS) {
      for (const hex of await readdir(join(this.#dir, algorithm)).catch(none)) {
        const digest = `${algorithm}:${hex}`;
        if (isDigest(digest)) found.push(digest);
      }
    }
    return found.sort();
  }

  /** How long ago it was written; 0 when it is not there. */
  async ageMs(digest: Digest, nowMs: number = Date.now()): Promise<number> {
    const facts = await stat(this.pathOf(digest)).catch(absent);
    return facts === undefined ? 0 : Math.max(0, nowMs - facts.mtimeMs);
  }

  /** Removes a blob that nobody reads, which the caller knows. One that is not there is fine. */
  async remove(digest: Digest): Promise<void> {
    await rm(this.pathOf(digest), { force: true });
  }

  /** The beginnings of downloads that were cut: their files' names and sizes. */
  async partials(): Promise<{ readonly name: string; readonly sizeBytes: number }[]> {
    const dir = join(this.#dir, "partial");
    const names = await readdir(dir).catch(none);
    return await Promise.all(
      names.map(async (name) => ({ name, sizeBytes: (await stat(join(dir, name))).size })),
    );
  }

  /** Removes all of them. Not while a download is under way. */
  async removePartials(): Promise<void> {
    await removeTree(join(this.#dir, "partial"));
  }

  /** Its size; 0 when it is not there. */
  async sizeOf(digest: Digest): Promise<number> {
    return (await stat(this.pathOf(digest)).catch(absent))?.size ?? 0;
  }

  /**
   * Removes what crashed writers left, and half-fetched blobs that are older than a week or, the oldest first, above 8 GiB
   * together. Not while a download is under way. Returns the removed names.
   */
  async removeLeftovers(nowMs: number = Date.now()): Promise<string[]> {
    const dir = join(this.#dir, "partial");
    const removed = await removeLeftovers(this.#dir);
    const partials = await Promise.all(
      (await readdir(dir).catch(none)).map(async (name) => ({ name, facts: await stat(join(dir, name)) })),
    );
    let keptBytes = 0;
    for (const { name, facts } of partials.toSorted((a, b) => b.facts.mtimeMs - a.facts.mtimeMs)) {
      keptBytes += facts.size;
      if (nowMs - facts.mtimeMs <= PARTIAL_MAX_AGE_MS && keptBytes <= PARTIAL_MAX_BYTES) continue;
      await rm(join(dir, name), { force: true });
      removed.push(name);
    }
    return removed;
  }

  async #publish(from: string, digest: Digest): Promise<string> {
    const path = this.pathOf(digest);
    const parent = join(path, "..");
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await rename(from, path);
    await syncPath(parent);
    return path;
  }
}

export interface PartialBlob extends AsyncDisposable {
  readonly writer: BlobWriter;
  /** Verifies and publishes; returns the path. Errors: `invalid_argument` (the bytes are others), `resource_exhausted`. */
  publish(): Promise<string>;
}

function absent(error: unknown): undefined {
  const { code } = error as NodeJS.ErrnoException;
  if (code !== "ENOENT" && code !== "ENOTDIR") throw error;
}

function none(error: unknown): string[] {
  absent(error);
  return [];
}
