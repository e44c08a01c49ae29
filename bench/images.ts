/**
 * Images: the conversion alone against `sqfstar` that reads the merged tar, and (images-pull.ts) all of a pull. "Alone" is what is
 * left to do once the layers are there: they were indexed as they came, which the figures of the pull contain. Layers that are no
 * longer compressed stand against `sqfstar` as it is. Layers of gzip have to be decompressed by whoever makes an image of them, so
 * they stand against `gzip -dc` in front of `sqfstar`; how they stand against a tar that somebody has decompressed and merged before
 * is printed beside it.
 */
import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { RealHome } from "../test/support/real-home.ts";
import { type LayeredImage, makeImage, mergeTars } from "./images-make.ts";
import { type Measured, measure, summariseKey } from "./images-measure.ts";
import { benchAgain, benchMemory, benchPull } from "./images-pull.ts";
import { limitRow, type Row, ratioRow } from "./stats.ts";

const RUNS = 5;
const MAX_RATIO = 1.3;

export async function benchImages(home: RealHome, scratch: string): Promise<Row[]> {
  const image = await makeImage(join(scratch, "image"));
  return [
    ...(await benchConvert(image, scratch)),
    ...(await benchPull(image, scratch)),
    ...(await benchAgain(home, image, scratch)),
    ...(await benchMemory(scratch)),
  ];
}

async function benchConvert(image: LayeredImage, scratch: string): Promise<Row[]> {
  const merged = join(scratch, "merged.tar");
  await mergeTars(image.tars, merged);
  const runs = { sqfstar: [], gunzip: [], plain: [], gzip: [] } as Record<
    "sqfstar" | "gunzip" | "plain" | "gzip",
    Measured[]
  >;
  const out = join(scratch, "out.squashfs");
  for (let run = 0; run < RUNS; run += 1) {
    runs.sqfstar.push(await measure("sqfstar", merged, out));
    runs.plain.push(await measure("convert-indexed", ...image.tars, out));
    runs.gunzip.push(await measure("gunzip-sqfstar", `${merged}.gz`, out));
    runs.gzip.push(await measure("convert-indexed", ...image.blobs, out));
  }
  for (const path of [merged, `${merged}.gz`, out]) await rm(path);
  const size = (image.bytes / 2 ** 20).toFixed(0);
  return [
    ...compare(`convert plain layers (${size} MiB) / sqfstar of the merged tar`, runs.plain, runs.sqfstar),
    ...compare("convert gzip layers / gzip -dc of the merged tar, into sqfstar", runs.gzip, runs.gunzip),
    limitRow(
      "convert gzip layers / sqfstar of the tar that was decompressed and merged before, times",
      summariseKey(runs.gzip, "ms").medianMs / summariseKey(runs.sqfstar, "ms").medianMs,
      {},
    ),
  ];
}

/** The time on the clock, and for a busy host all time that processors spent, which other work on it changes less. */
function compare(name: string, ours: readonly Measured[], theirs: readonly Measured[]): Row[] {
  const cpu = summariseKey(ours, "cpuMs").medianMs / summariseKey(theirs, "cpuMs").medianMs;
  return [
    ratioRow(name, summariseKey(ours, "ms"), summariseKey(theirs, "ms"), MAX_RATIO),
    limitRow("the same, processor time, times", cpu, {}),
  ];
}
