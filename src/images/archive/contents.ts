/**
 * What an archive of images holds, taken into the blob store in one pass, so that it may come from a pipe: blobs by their
 * names, the layers of older `docker save` archives by what they turn out to be, small documents in memory.
 */
import { type Digest, isDigest } from "../../model/digest.ts";
import { BangerError } from "../../model/errors.ts";
import type { BlobStore } from "../oci/blob-store.ts";
import type { BlobFacts } from "../oci/descriptor.ts";
import { digestOf } from "../oci/digest.ts";
import { MAX_DOCUMENT_BYTES } from "../oci/document.ts";
import { refusedEntry, type TarEntry } from "../tar/entry.ts";
import type { ImageBudget } from "../tar/limits.ts";
import { type ArchiveEntry, readEntries } from "./tar-entries.ts";

/** Of all documents outside of `blobs/` together. */
const MAX_DOCUMENTS_BYTES = 32 * 1024 * 1024;
const MAX_LINKS = 8;

export interface ArchiveContents {
  /** A document by its path in the archive, also one under `blobs/`. */
  document(path: string): Promise<Uint8Array | undefined>;
  /** A blob by its path, through links. */
  blob(path: string): (BlobFacts & { readonly path: string }) | undefined;
  /** Adds a document that the archive does not have as a blob. */
  add(bytes: Uint8Array): Promise<BlobFacts>;
  /** What was not in the store before. */
  readonly added: readonly Digest[];
}

export interface ContentsOptions {
  readonly store: BlobStore;
  readonly budget: ImageBudget;
  readonly signal?: AbortSignal;
}

/** On failure, what it had added is removed again. Errors: `invalid_argument`, `resource_exhausted`, `cancelled`. */
export async function takeContents(
  source: AsyncIterable<Buffer>,
  options: ContentsOptions,
): Promise<ArchiveContents> {
  const taken = new TakenContents(options);
  try {
    for await (const entry of readEntries(source, options.budget)) await taken.take(entry);
    return taken;
  } catch (error) {
    for (const digest of taken.added) await options.store.remove(digest);
    throw error;
  }
}

class TakenContents implements ArchiveContents {
  readonly #options: ContentsOptions;
  readonly #documents = new Map<string, Uint8Array>();
  readonly #blobs = new Map<string, BlobFacts & { readonly path: string }>();
  readonly #links = new Map<string, string>();
  readonly added: Digest[] = [];
  #documentBytes = 0;

  constructor(options: ContentsOptions) {
    this.#options = options;
  }

  async take({ entry, contents }: ArchiveEntry): Promise<void> {
    // `docker save` of old links layers that two images share.
    if (entry.linkPath !== "") this.#options.budget.addNameBytes(entry.path.length + entry.linkPath.length);
    if (entry.kind === "symlink") this.#links.set(entry.path, joinPath(entry.path, entry.linkPath));
    if (entry.kind === "hardlink") this.#links.set(entry.path, entry.linkPath);
    if (entry.kind !== "file") return;
    const digest = digestOfPath(entry.path);
    if (digest !== undefined) await this.#takeBlob(entry, { digest, contents });
    else if (/\.tar(?:\.\w+)?$/u.test(entry.path)) await this.#takeUnnamed(entry, contents);
    else if (entry.sizeBytes <= MAX_DOCUMENT_BYTES) await this.#takeDocument(entry, contents);
  }

  async document(path: string): Promise<Uint8Array | undefined> {
    const found = this.#documents.get(path);
    if (found !== undefined) return found;
    const blob = this.blob(path);
    return blob === undefined ? undefined : await this.#options.store.read(blob.digest, MAX_DOCUMENT_BYTES);
  }

  blob(path: string): (BlobFacts & { readonly path: string }) | undefined {
    let at = path;
    for (let links = 0; links <= MAX_LINKS; links += 1) {
      const found = this.#blobs.get(at);
      if (found !== undefined) return found;
      const target = this.#links.get(at);
      if (target === undefined) return undefined;
      at = target;
    }
    return undefined;
  }

  async add(bytes: Uint8Array): Promise<BlobFacts> {
    const facts = { digest: digestOf(bytes), sizeBytes: bytes.byteLength };
    if ((await this.#options.store.find(facts)) === undefined) this.added.push(facts.digest);
    await this.#options.store.put(facts, once(bytes), this.#options.signal);
    return facts;
  }

  async #takeBlob(
    { path, sizeBytes }: TarEntry,
    { digest, contents }: { readonly digest: Digest; readonly contents: AsyncIterable<Uint8Array> },
  ): Promise<void> {
    const { store, signal } = this.#options;
    const facts = { digest, sizeBytes };
    const known = await store.find(facts);
    // What is there is not believed to be what is here: the archive may lie about what it does not need to.
    const stored = known ?? (await store.put(facts, contents, signal));
    if (known === undefined) this.added.push(digest);
    this.#blobs.set(path, { ...facts, path: stored });
  }

  async #takeUnnamed({ path }: TarEntry, contents: AsyncIterable<Uint8Array>): Promise<void> {
    const { store, signal } = this.#options;
    const before = new Set(await store.list());
    const stored = await store.putUnnamed(contents, signal);
    if (!before.has(stored.digest)) this.added.push(stored.digest);
    this.#blobs.set(path, stored);
  }

  async #takeDocument({ path, sizeBytes }: TarEntry, contents: AsyncIterable<Uint8Array>): Promise<void> {
    this.#documentBytes += sizeBytes;
    if (this.#documentBytes > MAX_DOCUMENTS_BYTES) {
      throw new BangerError(
        "invalid_argument",
        `the archive has documents of more than ${MAX_DOCUMENTS_BYTES} bytes together`,
      );
    }
    if (this.#documents.has(path)) throw refusedEntry(path, "it is there twice");
    const parts: Uint8Array[] = [];
    for await (const part of contents) parts.push(part);
    this.#documents.set(path, Buffer.concat(parts));
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The path of a blob in an OCI layout. */
export function pathOfDigest(digest: Digest): string {
  return `blobs/${digest.replace(":", "/")}`;
}

function digestOfPath(path: string): Digest | undefined {
  const match = /^blobs\/(sha\d+)\/([0-9a-f]+)$/u.exec(path);
  const digest = `${match?.[1]}:${match?.[2]}`;
  return isDigest(digest) ? digest : undefined;
}

/** The target of a link relative to the directory that it stands in, inside of the archive. */
function joinPath(from: string, target: string): string {
  const parts = target.startsWith("/") ? [] : from.split("/").slice(0, -1);
  for (const part of target.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts.join("/");
}
