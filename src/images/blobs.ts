/**
 * Images on disk: `images/<digest>/{rootfs.squashfs, image.json}`, where the digest is the SHA-256 of the
 * root file system or, when there is a configuration or an OCI manifest, of that SHA-256 and these, because the same files
 * may be run in two ways. An image is published whole or not at all and never changes afterwards, except that one that was
 * found damaged gets the file `damaged` beside it, and the next image of that digest takes its place. Names live elsewhere; one that has none
 * yet, or none any more, is marked.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { hashFile } from "../lib/hash-file.ts";
import { publishDirectory, removeLeftovers, temporaryName } from "../lib/publish.ts";
import { removeTree } from "../lib/remove-tree.ts";
import { isUnrecorded, markUnrecorded, tryMarkUnrecorded, unmarkUnrecorded } from "../lib/unrecorded.ts";
import { type Digest, isDigest } from "../model/digest.ts";
import { BangerError } from "../model/errors.ts";
import type { ImageConfig } from "../model/spec.ts";

const imageFile = z.strictObject({
  digest: z.string().regex(/^[0-9a-f]{64}$/u),
  sizeBytes: z.number(),
  createdAtMs: z.number(),
  config: z.strictObject({
    entrypoint: z.array(z.string()).optional(),
    cmd: z.array(z.string()).optional(),
    env: z.record(z.string(), z.string()).optional(),
    workdir: z.string().optional(),
    user: z.string().optional(),
    exposedPorts: z.array(z.string()).optional(),
    volumes: z.array(z.string()).optional(),
    stopSignal: z.string().optional(),
    labels: z.record(z.string(), z.string()).optional(),
  }),
  source: z.string(),
  oci: z
    .strictObject({
      manifestDigest: z.custom<Digest>(isDigest),
      blobs: z.array(z.custom<Digest>(isDigest)),
    })
    .optional(),
});

/** The facts of a published image. */
export interface Image {
  /** 64 hex digits; of what, the head of this file says. */
  readonly digest: string;
  /** Of the compressed root file system. */
  readonly sizeBytes: number;
  readonly createdAtMs: number;
  /** How its commands run, in OCI's sense. */
  readonly config: ImageConfig;
  /** Where it came from, for a person: `debian bookworm`, `import rootfs.tar`. */
  readonly source: string;
  readonly oci?: OciOrigin | undefined;
  /** The squashfs file, absolute. Shared by all VMs of the image; never written. */
  readonly rootfsPath: string;
  /** It was found to be something else than its digest says, and must not be used. */
  readonly damaged: boolean;
}

export interface ImageParts {
  readonly config: ImageConfig;
  readonly source: string;
  /** Of an image that has one: its manifest, and all blobs that an export needs. */
  readonly oci?: OciOrigin | undefined;
}

export interface OciOrigin {
  readonly manifestDigest: Digest;
  readonly blobs: readonly Digest[];
}

export class ImageBlobs {
  private readonly dir: string;
  private readonly onStep: (step: string) => void;

  /** `onStep` hears of every step before it is done. */
  constructor(imagesDir: string, onStep: (step: string) => void = () => undefined) {
    this.dir = imagesDir;
    this.onStep = onStep;
  }

  /**
   * Publishes what `build` writes to the path that it is given. Contents that are there already stay, with
   * the description they have, unless they are damaged. New ones are marked as nameless. When `build` throws, nothing is left behind.
   */
  async publish(parts: ImageParts, build: (rootfsPath: string) => Promise<void>): Promise<Image> {
    let digest = "";
    await publishDirectory(this.dir, async (dir) => {
      this.onStep("image:build");
      const rootfsPath = join(dir, "rootfs.squashfs");
      await build(rootfsPath);
      digest = addressOf(await hashFile(rootfsPath), parts);
      const { size } = await stat(rootfsPath);
      const facts = { digest, sizeBytes: size, createdAtMs: Date.now(), ...parts };
      await writeFile(join(dir, "image.json"), `${JSON.stringify(facts, undefined, 2)}\n`);
      markUnrecorded(dir);
      if (await this.isDamaged(digest)) await this.remove(digest);
      this.onStep("image:publish");
      return digest;
    });
    this.onStep("image:published");
    return this.read(digest);
  }

  /** Errors: `not_found`; `internal` when the description is damaged. */
  async read(digest: string): Promise<Image> {
    const dir = this.path(digest);
    const text = await readFile(join(dir, "image.json"), "utf8").catch((error: unknown) => {
      if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
      throw new BangerError("not_found", `there is no image with the digest ${digest}`, { cause: error });
    });
    const parsed = imageFile.safeParse(parseJson(text));
    if (!parsed.success)
      throw new BangerError("internal", `${dir}/image.json is damaged`, { cure: `rm -r ${dir}` });
    const damaged = await isThere(join(dir, DAMAGED));
    return { ...parsed.data, rootfsPath: join(dir, "rootfs.squashfs"), damaged };
  }

  /** All images whose descriptions can be read. */
  async readable(): Promise<Image[]> {
    const images: Image[] = [];
    for (const digest of await this.list()) {
      // What cannot be read is `verify`'s to tell; it must not keep the others from being used.
      const image = await this.read(digest).catch(() => undefined);
      if (image !== undefined) images.push(image);
    }
    return images;
  }

  /** What is wrong with an image, as a phrase; undefined: nothing. Reads all of it. Errors: `cancelled`. */
  async check(digest: string, signal?: AbortSignal): Promise<string | undefined> {
    const image = await this.read(digest).catch((error: unknown) => BangerError.from(error));
    if (image instanceof BangerError) return image.message;
    if (!(await isThere(image.rootfsPath))) return "its root file system is gone";
    // As it was written: the order of its fields counts.
    const text = await readFile(join(this.path(digest), "image.json"), "utf8");
    const parts = JSON.parse(text) as ImageParts;
    const found = addressOf(await hashFile(image.rootfsPath, signal), parts);
    return found === digest ? undefined : "its root file system or its configuration is another";
  }

  /** Keeps the image from being used; the next one of this digest takes its place. Safe to repeat. */
  async markDamaged(digest: string): Promise<void> {
    await writeFile(join(this.path(digest), DAMAGED), "");
  }

  /** It has a name from here on. On disk when it returns; safe to repeat. */
  markNamed(digest: string): void {
    unmarkUnrecorded(this.path(digest));
  }

  /** Its last name is about to go. Safe to repeat. */
  markNameless(digest: string): void {
    tryMarkUnrecorded(this.path(digest));
  }

  /** It got no name yet, or its last one was taken from it; else one without a name has lost its record. */
  isNameless(digest: string): boolean {
    return isUnrecorded(this.path(digest));
  }

  /** The good image that was made of an OCI manifest; undefined: none. */
  async byManifest(manifestDigest: Digest): Promise<Image | undefined> {
    const images = await this.readable();
    return images.find((image) => image.oci?.manifestDigest === manifestDigest && !image.damaged);
  }

  /** The digests of all images, sorted. */
  async list(): Promise<string[]> {
    await mkdir(this.dir, { recursive: true, mode: 0o700 });
    return (await readdir(this.dir)).filter((name) => /^[0-9a-f]{64}$/u.test(name)).sort();
  }

  /**
   * Removes an image; one that is not there is fine. It vanishes in one step: a crash half-way leaves a
   * leftover and never half an image. The caller knows that nobody uses it.
   */
  async remove(digest: string): Promise<void> {
    const doomed = join(this.dir, temporaryName());
    try {
      await rename(this.path(digest), doomed);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    await removeTree(doomed);
  }

  /**
   * Removes what crashed builds and removals left; returns the names. Safe beside builds that are under way.
   */
  async removeLeftovers(): Promise<string[]> {
    return removeLeftovers(this.dir);
  }

  /** There, and not to be used. */
  private async isDamaged(digest: string): Promise<boolean> {
    if (!(await isThere(this.path(digest)))) return false;
    return await this.read(digest).then(
      (image) => image.damaged,
      () => true, // Its description says nothing any more.
    );
  }

  private path(digest: string): string {
    // The digest becomes a path: nothing but hex digits may get there.
    if (!/^[0-9a-f]{64}$/u.test(digest)) {
      throw new BangerError("invalid_argument", `"${digest}" is not an image digest (64 hex digits)`);
    }
    return join(this.dir, digest);
  }
}

/** Beside an image that was found damaged. */
const DAMAGED = "damaged";

function addressOf(rootfs: string, { config, oci }: ImageParts): string {
  if (Object.keys(config).length === 0 && oci === undefined) return rootfs;
  const facts = JSON.stringify([rootfs, config, oci?.manifestDigest ?? null]);
  return createHash("sha256").update(facts).digest("hex");
}

async function isThere(path: string): Promise<boolean> {
  return await stat(path).then(
    () => true,
    (error: unknown) => {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return false;
      throw error;
    },
  );
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema refuses it and says which file it was.
  }
}
