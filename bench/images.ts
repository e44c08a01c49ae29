/**
 * Images: a pull and its conversion against `skopeo copy` + `umoci unpack` + `mksquashfs`, and the conversion alone against
 * `sqfstar` reading the merged tar. "Alone" is what is left to do once the layers are there: they were indexed as they came, which the
 * figures of the pull contain. Layers of gzip, which have to be decompressed, are compared with `gzip -dc` in front of `sqfstar`; what
 * stays at 1 there is the same work. Each runs in a process of its own (images-run.ts); bytes written are `write_bytes` of
 * /proc/PID/io with all children that were waited for, memory is the highest sum of VmRSS of the process and what it started,
 * sampled every 20 ms.
 */
import { readdirSync, readFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { createDockerRegistry, type LayeredImage, makeImage } from "./images-make.ts";
import { limitRow, type Row, ratioRow, summarise } from "./stats.ts";
import { ROOT } from "./tools.ts";

const RUNS = 5;
const MAX_MIB = 200;
const MAX_RATIO = 1.3;
/** Not the target, a help to judge it: all of the time that processors spend, which other work on the host changes less than the time on the clock. */
const MAX_CPU_RATIO = 1.5;
const SAMPLE_MS = 20;

interface Measured {
  readonly ms: number;
  /** User and system time, that of the programs it started too. */
  readonly cpuMs: number;
  readonly writtenBytes: number;
  readonly peakMib: number;
}

export async function benchImages(scratch: string): Promise<Row[]> {
  const image = await makeImage(join(scratch, "image"));
  return [...(await benchConvert(image, scratch)), ...(await benchPull(image, scratch))];
}

async function benchConvert(image: LayeredImage, scratch: string): Promise<Row[]> {
  const runs = { sqfstar: [], gunzip: [], plain: [], gzip: [], unindexed: [] } as Record<
    "sqfstar" | "gunzip" | "plain" | "gzip" | "unindexed",
    Measured[]
  >;
  for (let run = 0; run < RUNS; run += 1) {
    const out = join(scratch, "out.squashfs");
    runs.sqfstar.push(await measure("sqfstar", image.mergedTar, out));
    runs.plain.push(await measure("convert-indexed", ...image.tars, out));
    runs.gunzip.push(await measure("gunzip-sqfstar", `${image.mergedTar}.gz`, out));
    runs.gzip.push(await measure("convert-indexed", ...image.blobs, out));
    runs.unindexed.push(await measure("convert", ...image.blobs, out));
  }
  const size = (image.bytes / 2 ** 20).toFixed(0);
  const compare = (name: string, ours: readonly Measured[], theirs: readonly Measured[]): Row[] => {
    const of = (all: readonly Measured[], key: "ms" | "cpuMs"): ReturnType<typeof summarise> =>
      summarise(all.map((one) => one[key]));
    return [
      ratioRow(name, of(ours, "ms"), of(theirs, "ms"), MAX_RATIO),
      ratioRow(`${name}, CPU time`, of(ours, "cpuMs"), of(theirs, "cpuMs"), MAX_CPU_RATIO),
    ];
  };
  return [
    ...compare(`convert plain layers (${size} MiB) / sqfstar of the merged tar`, runs.plain, runs.sqfstar),
    ...compare("convert gzip layers / gzip -dc of the merged tar, into sqfstar", runs.gzip, runs.gunzip),
    limitRow("convert gzip layers, index and all: peak memory, MiB", most(runs.unindexed, "peakMib"), {
      most: MAX_MIB,
    }),
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

export async function measure(...args: readonly string[]): Promise<Measured> {
  const child = Bun.spawn([process.execPath, join(ROOT, "bench/images-run.ts"), ...args], {
    stdin: "pipe",
    stdout: "pipe",
    stderr: "inherit",
  });
  let text = "";
  let peakKib = 0;
  let sampler: ReturnType<typeof setInterval> | undefined;
  for await (const part of child.stdout) {
    text += Buffer.from(part).toString();
    if (sampler !== undefined || !text.startsWith("ready\n")) continue;
    void child.stdin.write("go\n");
    void child.stdin.end();
    sampler = setInterval(() => {
      peakKib = Math.max(peakKib, rssOfTree(child.pid));
    }, SAMPLE_MS);
  }
  clearInterval(sampler);
  if ((await child.exited) !== 0) throw new Error(`${args[0]} failed`);
  const own = JSON.parse(text.slice("ready\n".length)) as Omit<Measured, "peakMib">;
  return { ...own, peakMib: peakKib / 1024 };
}

/** KiB of the process and everything below it. */
function rssOfTree(pid: number): number {
  try {
    const own = Number(/^VmRSS:\s+(\d+)/mu.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0);
    const children = readdirSync(`/proc/${pid}/task`).flatMap((task) =>
      readFileSync(`/proc/${pid}/task/${task}/children`, "utf8").trim().split(" ").filter(Boolean),
    );
    return children.reduce((sum, child) => sum + rssOfTree(Number(child)), own);
  } catch {
    return 0; // It ended while it was looked at.
  }
}

function most(all: readonly Measured[], key: keyof Measured): number {
  return Math.max(...all.map((one) => one[key]));
}
