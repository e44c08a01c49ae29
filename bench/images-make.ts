/** An image of some 400 MiB, made of this host's own programs and libraries, in three layers, and a registry that has it. */
import { createWriteStream } from "node:fs";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import { emitMerged } from "../src/images/layers/emit.ts";
import { openLayer } from "../src/images/layers/layer-stream.ts";
import { indexLayer } from "../src/images/layers/merge.ts";
import { planMerge } from "../src/images/layers/plan.ts";
import { digestOf } from "../src/images/oci/digest.ts";
import { DEFAULT_LIMITS, ImageBudget } from "../src/images/tar/limits.ts";
import { startDockerRegistry } from "../test/support/docker-registry.ts";
import { spawn } from "./tools.ts";

/** Of each layer, from the lowest up. */
const LAYER_MIB = [300, 80, 20];

export interface LayeredImage {
  /** Uncompressed layers, and the same with gzip; from the lowest up. */
  readonly tars: readonly string[];
  readonly blobs: readonly string[];
  /** What `sqfstar` can read as it is; beside it, the same with gzip. */
  readonly mergedTar: string;
  /** Of all layers, uncompressed. */
  readonly bytes: number;
  /** An OCI layout whose image is tagged `bench`. */
  readonly layout: string;
}

export async function makeImage(dir: string): Promise<LayeredImage> {
  await mkdir(dir, { recursive: true });
  const lists = await chooseFiles();
  const tars: string[] = [];
  for (const [index, names] of lists.entries()) {
    const tar = join(dir, `layer-${index}.tar`);
    // The layers above also replace some of what lies below.
    const again = index === 0 ? [] : (lists[0] ?? []).filter((_, place) => place % 50 === index);
    await writeFile(`${tar}.list`, [...names, ...again].map((name) => `${name}\0`).join(""));
    await spawn(["tar", "-C", "/", "--null", "--no-recursion", "-T", `${tar}.list`, "-cf", tar]);
    await spawn(["gzip", "-k", "-6", tar]);
    tars.push(tar);
  }
  const blobs = tars.map((tar) => `${tar}.gz`);
  const sizes = await Promise.all(tars.map(async (tar) => (await stat(tar)).size));
  const mergedTar = join(dir, "merged.tar");
  await merge(tars, mergedTar);
  await spawn(["gzip", "-k", "-6", mergedTar]);
  const layout = join(dir, "layout");
  await writeLayout(layout, { tars, blobs });
  return { tars, blobs, mergedTar, bytes: sizes.reduce((sum, size) => sum + size, 0), layout };
}

/** A registry on loopback with the image in it. */
export async function createDockerRegistry(
  dir: string,
  image: LayeredImage,
): Promise<AsyncDisposable & { readonly reference: string }> {
  const registry = await startDockerRegistry(dir);
  const reference = `${registry.host}/bench:latest`;
  await spawn([
    "skopeo",
    "copy",
    "--quiet",
    "--insecure-policy",
    "--dest-tls-verify=false",
    `oci:${image.layout}:bench`,
    `docker://${reference}`,
  ]);
  return { reference, [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose]() };
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
  for (const mib of LAYER_MIB) {
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

async function merge(tars: readonly string[], path: string): Promise<void> {
  const files = tars.map((tar) => ({ path: tar, name: tar }));
  const budget = new ImageBudget(DEFAULT_LIMITS);
  const indexes = [];
  for (const file of files) {
    indexes.push(
      await indexLayer(openLayer(file, { budget }), { name: file.name, diffId: undefined, budget }),
    );
  }
  await pipeline(emitMerged({ files, plan: planMerge(indexes), budget }), createWriteStream(path));
}

async function writeLayout(
  layout: string,
  { tars, blobs }: { readonly tars: readonly string[]; readonly blobs: readonly string[] },
): Promise<void> {
  await mkdir(join(layout, "blobs", "sha256"), { recursive: true });
  const put = async (bytes: Uint8Array | string, mediaType: string): Promise<object> => {
    const digest = digestOf(bytes);
    await writeFile(join(layout, "blobs", "sha256", digest.slice(7)), bytes);
    return { mediaType, digest, size: Buffer.byteLength(bytes) };
  };
  const layers: object[] = [];
  for (const blob of blobs) {
    layers.push(await put(await readFile(blob), "application/vnd.oci.image.layer.v1.tar+gzip"));
  }
  const diffIds = await Promise.all(tars.map(async (tar) => digestOf(await readFile(tar))));
  const architecture = process.arch === "arm64" ? "arm64" : "amd64";
  const config = { architecture, os: "linux", config: {}, rootfs: { type: "layers", diff_ids: diffIds } };
  const mediaType = "application/vnd.oci.image.manifest.v1+json";
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: await put(JSON.stringify(config), "application/vnd.oci.image.config.v1+json"),
    layers,
  };
  const descriptor = await put(JSON.stringify(manifest), mediaType);
  const annotations = { "org.opencontainers.image.ref.name": "bench" };
  await writeFile(join(layout, "oci-layout"), '{"imageLayoutVersion":"1.0.0"}');
  await writeFile(
    join(layout, "index.json"),
    JSON.stringify({ schemaVersion: 2, manifests: [{ ...descriptor, annotations }] }),
  );
}
