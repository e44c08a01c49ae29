/** Saving and resuming, on the hypervisor port: the pause, the way back to an answer, and the memory of clones. */
import { once } from "node:events";
import { rmSync } from "node:fs";
import { join } from "node:path";
import { Agent } from "../src/guest/agent.ts";
import { parseExecResult } from "../src/guest/commands.ts";
import { readCommandLine } from "../src/lib/process-identity.ts";
import { copySparse } from "../src/lib/sparse-copy.ts";
import { snapshotFiles } from "../src/vmm/snapshot-files.ts";
import { type RealGuest, RealGuests, type SavedGuest } from "../test/support/real-guests.ts";
import { startBareQemu } from "./bare-qemu.ts";
import { emptyQemuMib, privateMib } from "./memory.ts";
import { limitRow, type Row, ratioRow, summarise } from "./stats.ts";

const ROUNDS = 10;
const CLONES = 10;
/** Beside what a booted guest has written. */
const DIRTY = "head -c 100M /dev/urandom >/dev/shm/dirty";

export async function benchSnapshot(scratch: string): Promise<Row[]> {
  await using guests = await RealGuests.create(512);
  const cold = await guests.boot();
  await cold.sh("true");
  const idle = await guests.save(cold);
  const rows = [
    ...(await benchResume(guests, idle, scratch)),
    ...(await benchMemory(guests, idle)),
    ...(await benchPause(guests, cold, "a booted guest of 512 MiB, 100 MiB dirty")),
  ];
  await cold.running.kill({ graceMs: 0 });
  const clone = await guests.resume(idle);
  return [...rows, ...(await benchPause(guests, clone, "a clone of 512 MiB, 100 MiB dirty"))];
}

async function benchPause(guests: RealGuests, guest: RealGuest, what: string): Promise<Row[]> {
  await guest.sh(DIRTY);
  const pauses: number[] = [];
  const saves: number[] = [];
  for (let i = 0; i < ROUNDS; i += 1) {
    const from = performance.now();
    const saved = await guests.save(guest);
    saves.push(performance.now() - from);
    pauses.push(saved.pauseMs);
    // What has not been written to disk yet need not be.
    rmSync(saved.machineDir, { recursive: true });
  }
  return [
    limitRow(`pause, with its disk: ${what}, ms`, summarise(pauses).medianMs, { most: 150 }),
    limitRow(`the whole snapshot of it, ms`, summarise(saves).medianMs, {}),
  ];
}

/** To the answer of `true`: by the port and the agent, against the same QEMU command line and the same request alone. */
async function benchResume(guests: RealGuests, saved: SavedGuest, scratch: string): Promise<Row[]> {
  const ours: number[] = [];
  const told: number[] = [];
  const bare: number[] = [];
  const model = await guests.resume(saved);
  const argv = readCommandLine(model.running.handles.process.pid);
  await model.running.kill({ graceMs: 0 });
  for (let i = 0; i < ROUNDS; i += 1) {
    const dir = join(scratch, `resume-${i}`);
    bare.push(await bareResume({ argv, saved, dir }));
    const { machine, dir: own } = guests.describe();
    await copySparse(saved.diskPath, machine.disks[1]?.path ?? "");
    const from = performance.now();
    const running = await guests.driver.resume(machine, saved.machineDir, own);
    const agent = await Agent.connect(await running.channel(), forever());
    await agent.resumed({ hostname: "clone", machineId: "0".repeat(32), bootId: crypto.randomUUID() });
    told.push(performance.now() - from);
    await runTrue(agent);
    ours.push(performance.now() - from);
    agent.close();
    await running.kill({ graceMs: 0 });
  }
  return [
    ratioRow("resume to the answer of `true` / bare QEMU and agent", summarise(ours), summarise(bare), 1.3),
    limitRow("resume until the agent is somebody else, ms", summarise(told).medianMs, {}),
  ];
}

interface Bare {
  readonly argv: readonly string[];
  readonly saved: SavedGuest;
  readonly dir: string;
}

/** The same command line as banger's, started by a shell that opens the state; the guest stays who it was. */
async function bareResume({ argv, saved, dir }: Bare): Promise<number> {
  await Bun.$`mkdir -p ${dir}`.quiet();
  await copySparse(saved.diskPath, join(dir, "disk.ext4"));
  const own = argv.flatMap((word, index) => {
    if (word === "-mon" || argv[index - 1] === "-mon") return [];
    if (word.startsWith("socket,id=qmp")) return ["null,id=qmp"];
    return [word.startsWith("socket,id=agent") ? "socket,id=agent,path=@AGENT@" : word];
  });
  const state = snapshotFiles(saved.machineDir).state;
  const from = performance.now();
  await using qemu = await startBareQemu(["sh", "-c", 'exec "$@" 5<"$0"', state, ...own], dir);
  const agent = await Agent.connect(qemu.channel, forever());
  await runTrue(agent);
  const took = performance.now() - from;
  const closed = once(qemu.channel, "close");
  agent.close();
  await closed;
  return took;
}

async function benchMemory(guests: RealGuests, saved: SavedGuest): Promise<Row[]> {
  const clones = await Promise.all(Array.from({ length: CLONES }, async () => await guests.resume(saved)));
  const pids = clones.map(({ running }) => running.handles.process.pid);
  const each = pids.map(privateMib).toSorted((a, b) => a - b);
  const alone = await emptyQemuMib(readCommandLine(pids[0] ?? 0)[0] ?? "");
  await Promise.all(clones.map(async ({ running }) => await running.kill({ graceMs: 0 })));
  return [
    limitRow(`private memory of each of ${CLONES} idle clones, MiB`, each.at(-1) ?? 0, {}),
    limitRow("the same beyond an empty QEMU, MiB", (each.at(-1) ?? 0) - alone, { most: 25 }),
  ];
}

async function runTrue(agent: Agent): Promise<void> {
  const spec = { argv: ["true"], env: {}, cwd: undefined, user: undefined, tty: undefined, timeoutMs: 0 };
  const stream = agent.exec(crypto.randomUUID(), spec, {});
  stream.sendEnd();
  parseExecResult(await stream.result);
}

function forever(): { readonly fresh: false; readonly signal: AbortSignal } {
  return { fresh: false, signal: new AbortController().signal };
}
