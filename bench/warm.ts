/** Warm starts, forks and snapshots as a user has them: the command line against the same thing done by QEMU and an agent alone. */
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { RealHome } from "../test/support/real-home.ts";
import { bareArgv } from "./bare-qemu.ts";
import { emptyQemuMib, privateMib } from "./memory.ts";
import { limitRow, type Row, ratioRow, summarise } from "./stats.ts";
import { must, ROOT, spawn, timed } from "./tools.ts";

const WARM = 15;
const COLD = 10;
const PAUSES = 10;
const FORKS = 10;
const FORK_ROUNDS = 10;
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

interface Bare {
  /** QEMU's command line. */
  readonly argv: readonly string[];
  /** A template's directory. */
  readonly saved: string;
  readonly scratch: string;
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

/** A script of its own that copies the disk, starts QEMU on the state `count` times at once, and has each agent run `true`. */
async function bareRestore({ argv, saved, scratch }: Bare, count: number): Promise<number> {
  const argvFile = join(scratch, "restore.json");
  await Bun.write(argvFile, JSON.stringify(argv));
  const dirs = Array.from({ length: count }, (_, i) => join(scratch, `restore-${i}`));
  const took = await timed(
    async () =>
      await spawn([process.execPath, join(ROOT, "bench/bare-restore.ts"), argvFile, saved, ...dirs]),
  );
  for (const dir of dirs) rmSync(dir, { recursive: true });
  return took;
}

async function benchForks(home: RealHome, bare: Bare): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of [1, FORKS]) {
    const ours: number[] = [];
    const alone: number[] = [];
    for (let i = 0; i < FORK_ROUNDS; i += 1) {
      alone.push((await bareRestore(bare, count)) / count);
      const names = Array.from({ length: count }, (_, n) => `kid-${n + 1}`);
      const fork = ["fork", "model", "-q", "-n", String(count), "--name", "kid"];
      const took = await timed(async () => {
        await must(home, fork);
        await Promise.all(names.map(async (name) => await must(home, ["exec", name, "--", "true"])));
      });
      ours.push(took / count);
      if (count > 1 && i === FORK_ROUNDS - 1) rows.push(...(await benchShared(home, names)));
      await must(home, ["rm", "-f", ...names]);
    }
    const name = `fork -n ${count} and a command in each, per child / a bare restore`;
    rows.push(ratioRow(name, summarise(ours), summarise(alone), 1.3));
  }
  return rows;
}

/** What each of many idle clones has of its own. */
async function benchShared(home: RealHome, names: readonly string[]): Promise<Row[]> {
  const client = await home.client();
  const vms = await Promise.all(names.map((name) => client.showVm(name)));
  const each = vms.map(({ pid = 0 }) => privateMib(pid)).toSorted((a, b) => a - b);
  const disks = vms.map(({ id }) => statSync(join(home.home, "vms", id, "disk.ext4")).blocks * 512);
  const beyond = (each.at(-1) ?? 0) - (await emptyQemuMib("qemu-system-x86_64"));
  return [
    limitRow(`private memory of each of ${names.length} clones beyond an empty QEMU, MiB`, beyond, {
      most: 25,
    }),
    limitRow(
      `disk of ${names.length} forks that wrote nothing, MiB`,
      disks.reduce((sum, bytes) => sum + bytes, 0) / 2 ** 20,
      { most: 10 },
    ),
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
