/**
 * All of a pull: against `skopeo copy` + `umoci unpack` + `mksquashfs`, how much memory it takes at what size, and what is fetched
 * when nothing or one layer is new. What is fetched, the registry's log tells.
 */
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { RealHome } from "../test/support/real-home.ts";
import { createDockerRegistry, type ImageSize, type LayeredImage, makeImage } from "./images-make.ts";
import { type Measured, measure, most, summariseKey } from "./images-measure.ts";
import { limitRow, type Row, ratioRow } from "./stats.ts";
import { must, timed } from "./tools.ts";

const RUNS = 5;
const MEMORY_RUNS = 3;
const MAX_MIB = 200;
const MAX_RATIO = 0.5;
const MAX_AGAIN_MS = 100;

export async function benchPull(image: LayeredImage, scratch: string): Promise<Row[]> {
  await using registry = await createDockerRegistry(join(scratch, "registry"), image);
  const ours: Measured[] = [];
  const theirs: Measured[] = [];
  for (let run = 0; run < RUNS; run += 1) {
    ours.push(await measureIn(scratch, "pull", registry.reference("latest")));
    theirs.push(await measureIn(scratch, "skopeo-umoci-mksquashfs", registry.reference("latest")));
  }
  const bytes = most(ours, "writtenBytes") / most(theirs, "writtenBytes");
  const mib = (all: readonly Measured[]): string => (most(all, "writtenBytes") / 2 ** 20).toFixed(0);
  const name = "pull + convert / skopeo copy + umoci unpack + mksquashfs -comp lz4";
  return [
    ratioRow(name, summariseKey(ours, "ms"), summariseKey(theirs, "ms"), MAX_RATIO),
    limitRow(`bytes written, ours ${mib(ours)} MiB / theirs ${mib(theirs)} MiB`, bytes, { most: MAX_RATIO }),
    memoryRow(image, ours),
  ];
}

/** What somebody waits who pulls what is there, through command line and daemon; and what a new tag with one new layer costs. */
export async function benchAgain(home: RealHome, image: LayeredImage, scratch: string): Promise<Row[]> {
  await using registry = await createDockerRegistry(join(scratch, "registry-again"), image);
  await must(home, ["image", "pull", registry.reference("latest")]);
  let before = registry.log().length;
  const times: number[] = [];
  for (let run = 0; run < RUNS; run += 1)
    times.push(await timed(async () => await must(home, ["image", "pull", registry.reference("latest")])));
  const again = fetched(registry.log().slice(before));
  before = registry.log().length;
  await must(home, ["image", "pull", registry.reference("next")]);
  const next = fetched(registry.log().slice(before));
  await must(home, ["image", "rm", registry.reference("latest"), registry.reference("next")]);
  return [
    limitRow("image pull of the digest that is there, the slowest, ms", Math.max(...times), {
      most: MAX_AGAIN_MS,
    }),
    limitRow("blobs fetched by it", again, { most: 0 }),
    limitRow("blobs fetched for a new tag with one new layer: its configuration and the layer", next, {
      most: 2,
    }),
  ];
}

/** The same at a quarter and at twice the size. */
export async function benchMemory(scratch: string): Promise<Row[]> {
  const rows: Row[] = [];
  for (const [name, size] of Object.entries<ImageSize>({ small: { oneIn: 4 }, large: { twice: true } })) {
    const dir = join(scratch, name);
    const image = await makeImage(dir, size);
    await using registry = await createDockerRegistry(join(dir, "registry"), image);
    const runs: Measured[] = [];
    for (let run = 0; run < MEMORY_RUNS; run += 1)
      runs.push(await measureIn(dir, "pull", registry.reference("latest")));
    rows.push(memoryRow(image, runs));
    await rm(dir, { recursive: true });
  }
  return rows;
}

function memoryRow({ bytes }: LayeredImage, runs: readonly Measured[]): Row {
  const size = (bytes / 2 ** 20).toFixed(0);
  return limitRow(`pull + convert of ${size} MiB: peak memory, MiB`, most(runs, "peakMib"), {
    most: MAX_MIB,
  });
}

async function measureIn(scratch: string, kind: string, reference: string): Promise<Measured> {
  const dir = join(scratch, "pull");
  await mkdir(dir);
  const measured = await measure(kind, reference, dir);
  await rm(dir, { recursive: true });
  return measured;
}

/** How many blobs were sent, by the log of docker-registry: a line in Apache's format for each request. */
function fetched(log: string): number {
  return new Set(log.match(/GET \/v2\/bench\/blobs\/\S+ HTTP\/1\.1" 20\d/gu)).size;
}
