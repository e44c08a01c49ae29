/**
 * The Firecracker driver's own time, against a stub of Firecracker: from start() until InstanceStart was accepted, without the
 * time in which the stub came up and answered.
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createTestMachine } from "../src/vmm/contract/bench.ts";
import { createFirecrackerDriver } from "../src/vmm/firecracker/driver.ts";
import { createFirecrackerStub, type FirecrackerStub } from "../test/support/firecracker-stub/create.ts";
import { limitRow, type Row, summarise } from "./stats.ts";

const STARTS = 25;
const MOST_MS = 25;

export async function benchFirecracker(scratch: string): Promise<Row[]> {
  await using stub = createFirecrackerStub();
  const noted = join(scratch, "started");
  const driver = createFirecrackerDriver({
    verdictCachePath: join(scratch, "verdicts.json"),
    chrootBase: join(scratch, "jails"),
    binary: noteItsStart(stub, noted),
    jailer: "off",
    kvm: { kind: "works" },
  });
  const own: number[] = [];
  const busy: number[] = [];
  for (let i = 0; i < STARTS; i += 1) {
    const directory = join(scratch, `firecracker-${i}`);
    const dir = { stateDir: join(directory, "state"), runtimeDir: join(directory, "run") };
    for (const path of Object.values(dir)) mkdirSync(path, { recursive: true, mode: 0o700 });
    const machine = createTestMachine(`bench-${i}`, directory);
    const busySince = process.cpuUsage();
    const since = performance.now();
    const running = await driver.start(machine, dir);
    const total = performance.now() - since;
    const { user, system } = process.cpuUsage(busySince);
    busy.push((user + system) / 1000);
    own.push(total - timeOfStub(stub, running.handles.process.pid, noted));
    await running.kill({ graceMs: 0 });
  }
  const sample = summarise(own);
  return [
    {
      ...limitRow("Firecracker: start() to InstanceStart accepted, our own time, ms", sample.medianMs, {
        most: MOST_MS,
      }),
      ours: sample,
    },
    limitRow(
      "Firecracker: the same in processor time, which no neighbour lengthens, ms",
      summarise(busy).medianMs,
      {
        most: MOST_MS,
      },
    ),
  ];
}

/** A program that writes down when it was started, and becomes the stub. Bash, because it has a clock. */
function noteItsStart(stub: FirecrackerStub, noted: string): string {
  const path = join(stub.dir, "firecracker-noted");
  writeFileSync(path, `#!/bin/bash\necho "$EPOCHREALTIME" > ${noted}\nexec ${stub.bin} "$@"\n`, {
    mode: 0o700,
  });
  return path;
}

/** From its start until it listened, and while it worked on requests. */
function timeOfStub(stub: FirecrackerStub, pid: number, noted: string): number {
  const records = stub.records().filter((record) => record.pid === pid);
  const at = (kind: string): number => records.find((record) => record.kind === kind)?.atMs ?? Number.NaN;
  const worked = records.flatMap((record) =>
    record.kind === "request" ? [record.endedAtMs - record.beganAtMs] : [],
  );
  const startedAtMs = Number(readFileSync(noted, "utf8")) * 1000;
  return at("listening") - startedAtMs + worked.reduce((sum, ms) => sum + ms, 0);
}
