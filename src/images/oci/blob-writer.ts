/** A file that becomes a blob: hashed as it is written, bounded by its stated size, flushed before it counts. */
import { createHash, type Hash } from "node:crypto";
import { type FileHandle, open } from "node:fs/promises";
import { storageError } from "../../lib/publish.ts";
import { splitDigest } from "../../model/digest.ts";
import { BangerError } from "../../model/errors.ts";
import type { BlobFacts } from "./descriptor.ts";

const READ_BYTES = 1024 * 1024;

export class BlobWriter implements AsyncDisposable {
  readonly #path: string;
  readonly #file: FileHandle;
  readonly #facts: BlobFacts;
  #hash: Hash;
  #sizeBytes = 0;

  private constructor(path: string, file: FileHandle, facts: BlobFacts) {
    this.#path = path;
    this.#file = file;
    this.#facts = facts;
    this.#hash = newHash(facts);
  }

  /**
   * Opens a file (created with mode 0600 when absent) to write on at its end. What it holds is read once, to be hashed; more
   * than the blob can have is thrown away.
   */
  static async open(path: string, facts: BlobFacts): Promise<BlobWriter> {
    const file = await open(path, "a+", 0o600);
    const writer = new BlobWriter(path, file, facts);
    try {
      const { size } = await file.stat();
      if (size > facts.sizeBytes) await file.truncate(0);
      else await writer.#readBack();
      return writer;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** How much of the blob is there. */
  get sizeBytes(): number {
    return this.#sizeBytes;
  }

  /** Errors: `invalid_argument` (more than the blob has), `resource_exhausted`. */
  async write(chunk: Uint8Array): Promise<void> {
    const { digest, sizeBytes } = this.#facts;
    if (this.#sizeBytes + chunk.byteLength > sizeBytes) {
      throw new BangerError(
        "invalid_argument",
        `${digest} has more than the ${sizeBytes} bytes that it should have`,
      );
    }
    // Node's write may write a part of it (write(2)).
    for (let at = 0; at < chunk.byteLength; ) {
      const { bytesWritten } = await this.#file
        .write(chunk, at, chunk.byteLength - at)
        .catch((error: unknown) => {
          throw storageError(error, this.#path);
        });
      at += bytesWritten;
    }
    this.#hash.update(chunk);
    this.#sizeBytes += chunk.byteLength;
  }

  /** Checks size and digest, then flushes. Errors: `invalid_argument`, after which it is empty again. */
  async finish(): Promise<void> {
    const { digest, sizeBytes } = this.#facts;
    if (this.#sizeBytes !== sizeBytes) {
      throw new BangerError(
        "invalid_argument",
        `${digest} has ${this.#sizeBytes} bytes instead of ${sizeBytes}`,
      );
    }
    const { algorithm, hex } = splitDigest(digest);
    const found = this.#hash.digest("hex");
    if (found !== hex) {
      await this.discard();
      throw new BangerError(
        "invalid_argument",
        `the contents of ${digest} are others: they are ${algorithm}:${found}`,
      );
    }
    await this.#file.sync();
  }

  /** Starts over, with nothing. */
  async discard(): Promise<void> {
    await this.#file.truncate(0);
    this.#hash = newHash(this.#facts);
    this.#sizeBytes = 0;
  }

  /** Closes the file, which stays. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }

  async #readBack(): Promise<void> {
    const buffer = new Uint8Array(READ_BYTES);
    for (;;) {
      const { bytesRead } = await this.#file.read(buffer, 0, buffer.length, this.#sizeBytes);
      if (bytesRead === 0) return;
      this.#hash.update(buffer.subarray(0, bytesRead));
      this.#sizeBytes += bytesRead;
    }
  }
}

function newHash({ digest }: BlobFacts): Hash {
  return createHash(splitDigest(digest).algorithm);
}
