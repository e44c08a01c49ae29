/** The life of many VMs: records by the thousand, lists, stops, twenty starts at once, the daemon's memory. */
import { join } from "node:path";
import type { Client } from "../src/sdk/client.ts";
import { createDisk } from "../src/storage/disks.ts";
import type { RealHome } from "../test/support/real-home.ts";
import { bareArgv } from "./bare-qemu.ts";
import { limitRow, type Row, ratioRow, summarise } from "./stats.ts";
import { must, ROOT, spawn, timed } from "./tools.ts";

const CREATED = 1_000;
const RECORDS = 10_000;
const OPERATIONS = 10_000;
const AT_ONCE = 20;
const LOOKS = 10;

/** All rows that need many VMs. `home` has an address pool that is large enough. */
export async function benchLife(home: RealHome, scratch: string): Promise<Row[]> {
  await must(home, ["daemon", "start"]);
  const client = await home.client();
  return [...(await benchRecords(client)), ...(await benchMany(home, { client, scratch }))];
}

/** `create --no-start` and `rm` through the SDK, one after the other. */
async function benchRecords(client: Client): Promise<Row[]> {
  const creates: number[] = [];
  const removals: number[] = [];
  for (let i = 0; i < CREATED; i += 1) creates.push(await timed(async () => await create(client, i)));
  for (let i = 0; i < CREATED; i += 1)
    removals.push(await timed(async () => await client.removeVm(`record-${i}`)));
  const rate = (times: number[]): number => 1000 / (times.reduce((sum, ms) => sum + ms, 0) / times.length);
  return [
    limitRow("create --no-start, a second", rate(creates), { least: 300 }),
    limitRow("rm, a second", rate(removals), { least: 300 }),
    ratioRow(
      "create: the last hundred / the first",
      summarise(creates.slice(-100)),
      summarise(creates.slice(0, 100)),
      1.5,
    ),
    ratioRow(
      "rm: the last hundred / the first",
      summarise(removals.slice(-100)),
      summarise(removals.slice(0, 100)),
      1.5,
    ),
  ];
}

/** Twenty starts at once against twenty bare boots; then the same VMs beside ten thousand records. */
async function benchMany(
  home: RealHome,
  { client, scratch }: { client: Client; scratch: string },
): Promise<Row[]> {
  await must(home, ["run", "-d", "-q", "--name", "shape", "--memory", "256M"]);
  const { pid = 0 } = JSON.parse((await must(home, ["show", "--json", "shape"])).stdout) as { pid?: number };
  const argvFile = join(scratch, "many.json");
  await Bun.write(argvFile, JSON.stringify(bareArgv(pid)));
  await must(home, ["rm", "-f", "shape"]);
  const numbers = Array.from({ length: AT_ONCE }, (_, i) => i);
  const dirs = numbers.map((i) => join(scratch, `many-${i}`));
  for (const dir of dirs) await createDisk(join(dir, "disk.ext4"), 8 * 2 ** 30);
  const bare = await timed(async () => {
    await Promise.all(
      dirs.map((dir) => spawn([process.execPath, join(ROOT, "bench/bare-boot.ts"), argvFile, dir])),
    );
  });
  for (const i of numbers) await client.createVm({ name: `many-${i}`, memoryMib: 256 }, { start: false });
  const ours = await timed(async () => await must(home, ["start", "-q", ...numbers.map((i) => `many-${i}`)]));
  const running = (await client.listVms()).filter((vm) => vm.state === "running").length;
  for (let i = 0; i < RECORDS - AT_ONCE; i += 1) await create(client, i);
  const rows = [
    ratioRow(
      `${AT_ONCE} starts at once / as many bare boots (${running} running)`,
      summarise([ours]),
      summarise([bare]),
      1.15,
    ),
    limitRow(`ps -a --json of ${RECORDS} records, ms`, await look(home, ["ps", "-a", "--json"]), {
      most: 150,
    }),
    limitRow("show of one, ms", await look(home, ["show", "many-3"]), { most: 15 }),
    ...(await benchMemory(client)),
  ];
  await must(home, ["rm", "-f", ...numbers.map((i) => `many-${i}`)]);
  return rows;
}

async function benchMemory(client: Client): Promise<Row[]> {
  const before = (await client.daemonStatus()).rssBytes / 2 ** 20;
  for (let i = 0; i < OPERATIONS / 2; i += 1) {
    await client.setVm("record-1", { vcpus: 1 + (i % 2) });
    await client.showVm("record-2");
  }
  const after = (await client.daemonStatus()).rssBytes / 2 ** 20;
  return [
    limitRow(`daemon memory with ${RECORDS} records and ${AT_ONCE} VMs, MiB`, before, { most: 150 }),
    limitRow(`the same after ${OPERATIONS} operations, MiB`, after, { most: 150 }),
  ];
}

async function look(home: RealHome, args: readonly string[]): Promise<number> {
  const times: number[] = [];
  for (let i = 0; i < LOOKS; i += 1) times.push(await timed(async () => await must(home, args)));
  return summarise(times).medianMs;
}

async function create(client: Client, index: number): Promise<void> {
  await client.createVm({ name: `record-${index}` }, { start: false });
}
