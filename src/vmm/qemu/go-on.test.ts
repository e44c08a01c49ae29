import { describe, expect, test } from "bun:test";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openMemory } from "../../lib/process-memory.ts";
import { findProgram } from "../../lib/run-program.ts";
import {
  type ContractBench,
  type ContractSubject,
  createContractBench,
  createTestMachine,
} from "../contract/bench.ts";
import { snapshotFiles } from "../snapshot-files.ts";
import { createQemuDriver } from "./driver.ts";
import { findGuestRam, refillRam } from "./guest-ram.ts";
import { connectQmp } from "./qmp.ts";
import { createPvhKernel, IDLE_CODE } from "./testdata/idle-guest.ts";

const verdictCachePath = join(tmpdir(), `banger-test-verdicts-${process.getuid?.() ?? 0}`, "verdicts.json");
const subject: ContractSubject = {
  name: "the QEMU",
  createDriver: () => createQemuDriver({ verdictCachePath }),
  createMachine: (id, directory) => createTestMachine(id, directory, createPvhKernel()),
};
/** Where the idle guest's code is. */
const CODE_AT = 1024 * 1024;

const missing = findProgram("qemu-system-x86_64") === undefined;
if (missing) console.warn("skipped: going on in QEMU, for want of qemu-system-x86_64");

describe.skipIf(missing)("a QEMU that goes on", () => {
  test("has what was written to its memory file after it had mapped it", async () => {
    await using parent = await createContractBench(subject);
    await using child = await createContractBench(subject);
    await using other = await createContractBench(subject);
    const dir = await savedMachine(parent);
    const { memory } = snapshotFiles(dir);
    const contents = readFileSync(memory);
    expect(contents.subarray(CODE_AT, CODE_AT + IDLE_CODE.length).equals(IDLE_CODE)).toBe(true);
    writeFileSync(memory, Buffer.alloc(contents.length));
    const fill = async (): Promise<void> => {
      // As long as this one takes to be complete, so long does the one that waits.
      await other.driver.start(other.machine, other.dir);
      await using file = await open(memory, "r+");
      await file.write(contents, 0, contents.length, 0);
    };
    const running = await child.driver.resume(child.machine, dir, child.dir, { whole: fill() });
    expect(await readRam(running.handles.process.pid, child, CODE_AT, IDLE_CODE.length)).toEqual(
      Buffer.from(IDLE_CODE),
    );
  });

  test("can be given back pages that were written to before", async () => {
    await using bench = await createContractBench(subject);
    const running = await bench.driver.start(bench.machine, bench.dir);
    await running.pause();
    const path = join(bench.dir.stateDir, "other-memory");
    writeFileSync(path, Buffer.alloc(4 * CODE_AT, 7));
    const { pid } = running.handles.process;
    using qmp = await connectQmp(join(bench.dir.runtimeDir, "qmp.sock"));
    const ranges = [
      { start: 8192, end: 3 * 4096 },
      { start: 2 * CODE_AT, end: 3 * CODE_AT },
    ];
    await refillRam({ ...(await findGuestRam(qmp, pid)), ranges }, path);
    qmp[Symbol.dispose]();
    expect(await readRam(pid, bench, 8191, 3)).toEqual(Buffer.from([0, 7, 7]));
    expect(await readRam(pid, bench, 3 * CODE_AT - 2, 3)).toEqual(Buffer.from([7, 7, 0]));
  });
});

async function savedMachine({ driver, machine, dir }: ContractBench): Promise<string> {
  const running = await driver.start(machine, dir);
  await running.pause();
  const saved = join(dir.stateDir, "snapshot");
  mkdirSync(saved, { mode: 0o700 });
  await running.snapshot(saved);
  return saved;
}

async function readRam(pid: number, bench: ContractBench, at: number, length: number): Promise<Buffer> {
  using qmp = await connectQmp(join(bench.dir.runtimeDir, "qmp.sock"));
  const { address } = await findGuestRam(qmp, pid);
  await using memory = await openMemory(pid);
  const bytes = Buffer.alloc(length);
  await memory.read(bytes, 0, length, address + at);
  return bytes;
}
