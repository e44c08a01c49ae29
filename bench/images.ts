/**
 * Images: a pull and its conversion against `skopeo copy` + `umoci unpack` + `mksquashfs`, and the conversion alone against
 * `sqfstar` reading the merged tar. Each runs in a process of its own (images-run.ts); bytes written are `write_bytes` of
 * /proc/PID/io with all children that were waited for, memory is the highest sum of VmRSS of the process and what it started,
 * sampled every 20 ms.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createDockerRegistry, type LayeredImage, makeImage } from "./images-make.ts";
import { limitRow, type Row, ratioRow, summarise } from "./stats.ts";
import { ROOT } from "./tools.ts";

const RUNS = 5;
const MAX_MIB = 200;

interface Measured {
  readonly ms: number;
  readonly writtenBytes: number;
  readonly peakMib: number;
}

export async function benchImages(scratch: string): Promise<Row[]> {
  const image = await makeImage(join(scratch, "image"));
  return [...(await benchConvert(image, scratch)), ...(await benchPull(image, scratch))];
}

async function benchConvert(image: LayeredImage, scratch: string): Promise<Row[]> {
  const reference: Measured[] = [];
  const plain: Measured[] = [];
  const gzip: Measured[] = [];
  const indexed: Measured[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const out = join(scratch, "out.squashfs");
    reference.push(await measure("sqfstar", image.mergedTar, out));
    plain.push(await measure("convert", ...image.tars, out));
    gzip.push(await measure("convert", ...image.blobs, out));
    indexed.push(await measure("convert-indexed", ...image.blobs, out));
  }
  const ms = (all: readonly Measured[]): ReturnType<typeof summarise> => summarise(all.map((one) => one.ms));
  const size = (image.bytes / 2 ** 20).toFixed(0);
  return [
    ratioRow(`convert plain layers (${size} MiB) / sqfstar of the merged tar`, ms(plain), ms(reference), 1.3),
    ratioRow("convert gzip layers that the pull has indexed / the same", ms(indexed), ms(reference), 1.3),
    ratioRow("convert gzip layers, index and all / the same", ms(gzip), ms(reference), 1.3),
    limitRow("convert gzip layers: peak memory, MiB", most(gzip, "peakMib"), { most: MAX_MIB }),
  ];
}

async function benchPull(image: LayeredImage, scratch: string): Promise<Row[]> {
  await using registry = await createDockerRegistry(join(scratch, "registry"), image);
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    const dir = join(scratch, "pull");
    for (const [kind, list] of [
      ["pull", ours],
      ["skopeo-umoci-mksquashfs", theirs],
    ] as const) {
      await mkdir(dir, { recursive: true });
      list.push(await measure(kind, registry.reference, dir));
      await rm(dir, { recursive: true });
    }
  }
  const times = (all: readonly Measured[]): ReturnType<typeof summarise> =>
    summarise(all.map((one) => one.ms));
  const bytes = most(ours, "writtenBytes") / most(theirs, "writtenBytes");
  const mib = (all: readonly Measured[]): string => (most(all, "writtenBytes") / 2 ** 20).toFixed(0);
  return [
    ratioRow(
      "pull + convert / skopeo copy + umoci unpack + mksquashfs -comp lz4",
      times(ours),
      times(theirs),
      0.5,
    ),
    limitRow(`bytes written, ours ${mib(ours)} MiB / theirs ${mib(theirs)} MiB`, bytes, { most: 0.5 }),
    limitRow("pull + convert: peak memory, MiB", most(ours, "peakMib"), { most: MAX_MIB }),
  ];
}

async function measure(...args: readonly string[]): Promise<Measured> {
  const child = Bun.spawn([process.execPath, join(ROOT, "bench/images-run.ts"), ...args], {
    stdin: "ignore",
    stdout: "pipe",
    stderr: "inherit",
  });
  const [text, code] = await Promise.all([new Response(child.stdout).text(), child.exited]);
  if (code !== 0) throw new Error(`${args[0]} failed`);
  return JSON.parse(text) as Measured;
}

function most(all: readonly Measured[], key: keyof Measured): number {
  return Math.max(...all.map((one) => one[key]));
}
