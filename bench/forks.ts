/** Forks and the commands in them, against QEMU alone that restores as many guests: by a script with the SDK, and by the command line. */
import { rmSync, statSync } from "node:fs";
import { join } from "node:path";
import type { RealHome } from "../test/support/real-home.ts";
import { emptyQemuMib, privateMib } from "./memory.ts";
import { limitRow, printedRow, type Row, ratioRow, summarise } from "./stats.ts";
import { must, ROOT, spawn, timed } from "./tools.ts";

const MANY = 10;
const ROUNDS = 10;

/** What a bare restore is made of. */
export interface Bare {
  /** QEMU's command line. */
  readonly argv: readonly string[];
  /** A template's directory. */
  readonly saved: string;
  readonly scratch: string;
}

/** A script of its own that copies the disk, starts QEMU on the state `count` times at once, and has each agent run `true`. */
export async function bareRestore({ argv, saved, scratch }: Bare, count: number): Promise<number> {
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

/** Per child, in turns: a bare restore, a script with the SDK, and the command line, which is one process more for each child. `home` has the VM `model`. */
export async function benchForks(home: RealHome, bare: Bare): Promise<Row[]> {
  const rows: Row[] = [];
  for (const count of [1, MANY]) {
    const times: Record<"alone" | "script" | "commands", number[]> = { alone: [], script: [], commands: [] };
    const names = Array.from({ length: count }, (_, n) => `kid-${n + 1}`);
    for (let round = 0; round < ROUNDS; round += 1) {
      times.alone.push((await bareRestore(bare, count)) / count);
      times.script.push((await timed(async () => await forkByScript(home, names))) / count);
      if (count > 1 && round === 0) rows.push(...(await benchShared(home, names)));
      await must(home, ["rm", "-f", ...names]);
      times.commands.push((await timed(async () => await forkByCommands(home, names))) / count);
      await must(home, ["rm", "-f", ...names]);
    }
    const alone = summarise(times.alone);
    const what = `fork -n ${count} and a command in each, per child`;
    rows.push(
      ratioRow(`${what}, by a script with the SDK / a bare restore`, summarise(times.script), alone, 1.3),
      printedRow(`${what}, by the command line / a bare restore`, summarise(times.commands), alone),
    );
  }
  return rows;
}

async function forkByScript(home: RealHome, names: readonly string[]): Promise<void> {
  const socket = join(home.home, "run/bangerd.sock");
  await spawn([process.execPath, join(ROOT, "bench/fork-children.ts"), socket, "model", ...names]);
}

async function forkByCommands(home: RealHome, names: readonly string[]): Promise<void> {
  await must(home, ["fork", "model", "-q", "-n", String(names.length), "--name", "kid"]);
  await Promise.all(names.map(async (name) => await must(home, ["exec", name, "--", "true"])));
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
