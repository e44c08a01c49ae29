/**
 * Images on disk: `images/<digest>/{rootfs.squashfs, image.json}`, where the digest is the SHA-256 of the
 * root file system or, when there is a configuration or an OCI manifest, of that SHA-256 and these, because the same files
 * may be run in two ways. An image is published whole or not at all and never changes afterwards. Names live
 * elsewhere.
 */
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { hashFile } from "../lib/hash-file.ts";
import { publishDirectory, removeLeftovers, temporaryName } from "../lib/publish.ts";
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

  constructor(imagesDir: string) {
    this.dir = imagesDir;
  }

  /**
   * Publishes what `build` writes to the path that it is given. Contents that are there already stay, with
   * the description they have. When `build` throws, nothing is left behind.
   */
  async publish(parts: ImageParts, build: (rootfsPath: string) => Promise<void>): Promise<Image> {
    let digest = "";
    await publishDirectory(this.dir, async (dir) => {
      const rootfsPath = join(dir, "rootfs.squashfs");
      await build(rootfsPath);
      digest = addressOf(await hashFile(rootfsPath), parts);
      const { size } = await stat(rootfsPath);
      const facts = { digest, sizeBytes: size, createdAtMs: Date.now(), ...parts };
      await writeFile(join(dir, "image.json"), `${JSON.stringify(facts, undefined, 2)}\n`);
      return digest;
    });
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
    return { ...parsed.data, rootfsPath: join(dir, "rootfs.squashfs") };
  }

  /** The image that was made of an OCI manifest; undefined: none. */
  async byManifest(manifestDigest: Digest): Promise<Image | undefined> {
    for (const digest of await this.list()) {
      const image = await this.read(digest);
      if (image.oci?.manifestDigest === manifestDigest) return image;
    }
    return undefined;
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
    await rm(doomed, { recursive: true, force: true });
  }

  /**
   * Removes what crashed builds and removals left; returns the names. Safe beside builds that are under way.
   */
  async removeLeftovers(): Promise<string[]> {
    return removeLeftovers(this.dir);
  }

  private path(digest: string): string {
    // The digest becomes a path: nothing but hex digits may get there.
    if (!/^[0-9a-f]{64}$/u.test(digest)) {
      throw new BangerError("invalid_argument", `"${digest}" is not an image digest (64 hex digits)`);
    }
    return join(this.dir, digest);
  }
}

function addressOf(rootfs: string, { config, oci }: ImageParts): string {
  if (Object.keys(config).length === 0 && oci === undefined) return rootfs;
  const facts = JSON.stringify([rootfs, config, oci?.manifestDigest ?? null]);
  return createHash("sha256").update(facts).digest("hex");
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // The schema refuses it and says which file it was.
  }
}
