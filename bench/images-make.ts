/** Images in three layers, made of this host's own programs and libraries, and a registry that has them. */
import { mkdir, open, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { emitMerged } from "../src/images/layers/emit.ts";
import { openLayer } from "../src/images/layers/layer-stream.ts";
import { indexLayer } from "../src/images/layers/merge.ts";
import { planMerge } from "../src/images/layers/plan.ts";
import { digestOf } from "../src/images/oci/digest.ts";
import { DEFAULT_LIMITS, ImageBudget } from "../src/images/tar/limits.ts";
import { type DockerRegistry, pushImage, startDockerRegistry } from "../test/support/docker-registry.ts";
import { spawn } from "./tools.ts";

/** Of each layer, from the lowest up: 400 MiB. */
const LAYER_MIB = [300, 80, 20];
/** What the tag `next` has on top of them. */
const NEXT_LAYER_MIB = 4;

export interface ImageSize {
  /** Of the files of 400 MiB, one in so many. */
  readonly oneIn?: number;
  /** All again in another directory. */
  readonly twice?: boolean;
}

export interface LayeredImage {
  /** Uncompressed layers, and the same with gzip; from the lowest up. */
  readonly tars: readonly string[];
  readonly blobs: readonly string[];
  /** Of all layers, uncompressed. */
  readonly bytes: number;
  /** An OCI layout whose image is tagged `latest`, and the one with a further layer `next`. */
  readonly layout: string;
}

export async function makeImage(dir: string, size: ImageSize = {}): Promise<LayeredImage> {
  await mkdir(dir, { recursive: true });
  const { oneIn = 1, twice = false } = size;
  const lists = (await chooseFiles()).map((names) => names.filter((_, place) => place % oneIn === 0));
  const tars: string[] = [];
  for (const [index, names] of lists.entries()) {
    const tar = join(dir, `layer-${index}.tar`);
    // The layers above also replace some of what lies below.
    const again = index === 0 ? [] : (lists[0] ?? []).filter((_, place) => place % 50 === index);
    await writeFile(`${tar}.list`, [...names, ...again].map((name) => `${name}\0`).join(""));
    const pack = ["tar", "-C", "/", "--null", "--no-recursion", "-T", `${tar}.list`];
    await spawn([...pack, "-cf", tar]);
    if (twice) await spawn([...pack, "--transform=s,^,again/,", "-rf", tar]);
    await spawn(["gzip", "-k", "-6", tar]);
    tars.push(tar);
  }
  const [next, ...below] = [tars.pop() ?? "", ...tars];
  const layout = join(dir, "layout");
  await writeLayout(layout, { latest: below, next: [...below, next] });
  const sizes = await Promise.all(below.map(async (tar) => (await stat(tar)).size));
  const blobs = below.map((tar) => `${tar}.gz`);
  return { tars: below, blobs, bytes: sizes.reduce((sum, one) => sum + one, 0), layout };
}

export interface BenchRegistry extends DockerRegistry {
  /** Its image by one of the layout's tags. */
  reference(tag: string): string;
}

/** A registry on loopback with both images in it. */
export async function createDockerRegistry(dir: string, image: LayeredImage): Promise<BenchRegistry> {
  const registry = await startDockerRegistry(dir);
  const reference = (tag: string): string => `${registry.host}/bench:${tag}`;
  for (const tag of ["latest", "next"])
    await pushImage(`oci:${image.layout}:${tag}`, reference(tag), "--quiet", "--dest-tls-verify=false");
  return { ...registry, reference };
}

/** Names of regular files, a list for each layer, as many as make its size. */
async function chooseFiles(): Promise<string[][]> {
  const find = Bun.spawn(
    [
      "find",
      "usr/bin",
      "usr/lib",
      "usr/share",
      "-xdev",
      "-type",
      "f",
      "-size",
      "-64M",
      "-printf",
      "%s %p\\0",
    ],
    {
      cwd: "/",
      stdout: "pipe",
      stderr: "ignore",
    },
  );
  const files = (await new Response(find.stdout).text())
    .split("\0")
    .flatMap((line) => {
      const match = /^(\d+) (.*)$/su.exec(line);
      return match === null ? [] : [{ size: Number(match[1]), name: match[2] ?? "" }];
    })
    // Large and small ones mixed, the same on every run.
    .toSorted((a, b) => Number(Bun.hash(a.name) % 65_536n) - Number(Bun.hash(b.name) % 65_536n));
  const lists: string[][] = [];
  for (const mib of [...LAYER_MIB, NEXT_LAYER_MIB]) {
    const names: string[] = [];
    for (let left = mib * 2 ** 20; left > 0; ) {
      const file = files.pop();
      if (file === undefined) break;
      left -= file.size;
      names.push(file.name);
    }
    lists.push(names);
  }
  return lists;
}

/** Writes what `sqfstar` can read as it is, and beside it the same with gzip. */
export async function mergeTars(tars: readonly string[], path: string): Promise<void> {
  const files = tars.map((tar) => ({ path: tar, name: tar }));
  const budget = new ImageBudget(DEFAULT_LIMITS);
  const indexes = [];
  for (const file of files) {
    indexes.push(
      await indexLayer(openLayer(file, { budget }), { name: file.name, diffId: undefined, budget }),
    );
  }
  await using file = await open(path, "w");
  for await (const piece of emitMerged({ files, plan: planMerge(indexes, budget), budget }))
    await file.write(piece);
  await spawn(["gzip", "-k", "-6", path]);
}

/** `images`: the tars of the layers by tag; beside each tar lies the same with gzip. */
async function writeLayout(
  layout: string,
  images: Readonly<Record<string, readonly string[]>>,
): Promise<void> {
  await mkdir(join(layout, "blobs", "sha256"), { recursive: true });
  const put = async (bytes: Uint8Array | string, mediaType: string): Promise<object> => {
    const digest = digestOf(bytes);
    await writeFile(join(layout, "blobs", "sha256", digest.slice(7)), bytes);
    return { mediaType, digest, size: Buffer.byteLength(bytes) };
  };
  const manifests: object[] = [];
  for (const [tag, tars] of Object.entries(images)) {
    const layers: object[] = [];
    const diffIds: string[] = [];
    for (const tar of tars) {
      layers.push(await put(await readFile(`${tar}.gz`), "application/vnd.oci.image.layer.v1.tar+gzip"));
      diffIds.push(digestOf(await readFile(tar)));
    }
    const architecture = process.arch === "arm64" ? "arm64" : "amd64";
    const config = { architecture, os: "linux", config: {}, rootfs: { type: "layers", diff_ids: diffIds } };
    const mediaType = "application/vnd.oci.image.manifest.v1+json";
    const manifest = {
      schemaVersion: 2,
      mediaType,
      config: await put(JSON.stringify(config), "application/vnd.oci.image.config.v1+json"),
      layers,
    };
    const annotations = { "org.opencontainers.image.ref.name": tag };
    manifests.push({ ...(await put(JSON.stringify(manifest), mediaType)), annotations });
  }
  await writeFile(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(join(layout, "index.json"), JSON.stringify({ schemaVersion: 2, manifests }));
}
