/** Warm starts, forks and snapshots as a user has them: the command line against the same thing done by QEMU and an agent alone. */
import { join } from "node:path";
import type { RealHome } from "../test/support/real-home.ts";
import { bareArgv } from "./bare-qemu.ts";
import { type Bare, bareRestore, benchForks } from "./forks.ts";
import { limitRow, type Row, ratioRow, summarise } from "./stats.ts";
import { must, timed } from "./tools.ts";

const WARM = 15;
const COLD = 10;
const PAUSES = 10;
const FIRST_ROUNDS = 10;
const SHAPE = ["--memory", "512M"] as const;
const RUN = ["run", "--rm", "-q", ...SHAPE] as const;
const DIRTY = "head -c 100M /dev/urandom >/dev/shm/dirty";

/** `home` makes templates. */
export async function benchWarm(home: RealHome, scratch: string): Promise<Row[]> {
  const client = await prepare(home);
  const [template] = await client.listTemplates();
  if (template === undefined) throw new Error("no template was made");
  const saved = join(home.home, "templates", template.id);
  await must(home, ["run", "-d", "-q", "--name", "model", ...SHAPE]);
  const { pid = 0 } = await client.showVm("model");
  const bare: Bare = { argv: bareArgv(pid), saved, scratch };
  const rows = [
    ...(await benchRun(home, bare)),
    ...(await benchForks(home, bare)),
    ...(await benchPause(home)),
  ];
  await must(home, ["rm", "-f", "model"]);
  return rows;
}

/** Boots once, and waits for the template of that. */
async function prepare(home: RealHome): ReturnType<RealHome["client"]> {
  await must(home, [...RUN, "--", "true"]);
  const client = await home.client();
  while ((await client.listTemplates()).length === 0) await Bun.sleep(500);
  return client;
}

async function benchRun(home: RealHome, bare: Bare): Promise<Row[]> {
  const warm: number[] = [];
  const cold: number[] = [];
  const alone: number[] = [];
  // The first after the daemon started compares the template's hashes.
  await must(home, [...RUN, "--", "true"]);
  for (let i = 0; i < WARM; i += 1) {
    alone.push(await bareRestore(bare, 1));
    warm.push(await timed(async () => await must(home, [...RUN, "--", "true"])));
    if (i < COLD) cold.push(await timed(async () => await must(home, [...RUN, "--cold", "--", "true"])));
    process.stderr.write(
      `run ${i + 1}/${WARM}: bare ${alone.at(-1)?.toFixed(0)} ms, warm ${warm.at(-1)?.toFixed(0)} ms\n`,
    );
  }
  const [ours, boots] = [summarise(warm), summarise(cold)];
  const faster = boots.medianMs / ours.medianMs;
  return [
    {
      name: "run --rm -- true: --cold / warm",
      ours,
      reference: boots,
      figure: `${faster.toFixed(1)} × faster`,
      target: "≥ 8 × faster",
      met: faster >= 8,
    },
    ratioRow("run --rm -- true, warm / a bare script that restores it", ours, summarise(alone), 1.3),
  ];
}

/** The pause as `snapshot create` measures it. */
async function benchPause(home: RealHome): Promise<Row[]> {
  const client = await home.client();
  await must(home, ["exec", "model", "--", "sh", "-c", DIRTY]);
  const pauses: number[] = [];
  const whole: number[] = [];
  for (let i = 0; i < PAUSES; i += 1) {
    whole.push(
      await timed(async () => pauses.push((await client.createSnapshot("model", { name: "bench" })).pauseMs)),
    );
    await client.removeSnapshot("bench");
  }
  return [
    limitRow("pause for a snapshot, 512 MiB guest, 100 MiB dirty, ms", summarise(pauses).medianMs, {
      most: 150,
    }),
    limitRow("the whole snapshot, hashed and flushed, ms", summarise(whole).medianMs, {}),
  ];
}

/** The first run of an image with nobody else's template about, with and without one being made behind it. */
export async function benchFirst(make: (templates: boolean) => Promise<RealHome>): Promise<Row> {
  const ours: number[] = [];
  const bare: number[] = [];
  for (let i = 0; i < FIRST_ROUNDS; i += 1) {
    for (const templates of i % 2 === 0 ? [true, false] : [false, true]) {
      await using home = await make(templates);
      await must(home, ["daemon", "start"]);
      const took = await timed(async () => await must(home, [...RUN, "--", "sh", "-c", "sleep 3"]));
      (templates ? ours : bare).push(took);
      if (templates) await must(home, ["template", "prune"]);
    }
  }
  return ratioRow(
    "first run (3 s of work), its template being made / without",
    summarise(ours),
    summarise(bare),
    1.1,
  );
}
