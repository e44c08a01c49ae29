import { describe, expect, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import { createContractBench, createTestMachine } from "../contract/bench.ts";
import { type ContractSubject, driverContract } from "../contract.ts";
import { createQemuDriver } from "./driver.ts";
import { connectQmp } from "./qmp.ts";
import { createPvhKernel } from "./testdata/idle-guest.ts";

// The findings about this host are made once a boot and shared by every run of these tests.
const verdictCachePath = join(tmpdir(), `banger-test-verdicts-${process.getuid?.() ?? 0}`, "verdicts.json");

const subject: ContractSubject = {
  name: "the QEMU",
  createDriver: () => createQemuDriver({ verdictCachePath }),
  createMachine: (id, directory) => createTestMachine(id, directory, createPvhKernel()),
};

const missing = findProgram("qemu-system-x86_64") === undefined;
if (missing) console.warn("skipped: the QEMU driver, for want of qemu-system-x86_64");
else driverContract(subject);

describe.skipIf(missing)("the QEMU driver", () => {
  test("settles `exited` with status 0 when the guest resets", async () => {
    await using bench = await createContractBench(subject);
    const running = await bench.driver.start(bench.machine, bench.dir);
    using qmp = await connectQmp(join(bench.dir.runtimeDir, "qmp.sock"));
    await qmp.execute("system_reset");
    expect(await running.exited).toMatchObject({ code: 0, signal: undefined });
    await running.kill();
  });

  test("gives the guest disks, several CPUs and paths with commas", async () => {
    await using bench = await createContractBench(subject);
    const path = join(bench.dir.stateDir, "a,b.img");
    writeFileSync(path, new Uint8Array(1024 * 1024));
    const disks = [
      { id: "rootfs", path, readOnly: true },
      { id: "disk", path: `${path}2`, readOnly: false },
    ];
    writeFileSync(`${path}2`, new Uint8Array(1024 * 1024));
    const consolePath = join(bench.dir.stateDir, "con,sole.log");
    const machine = { ...bench.machine, disks, consolePath, vcpus: 2 };
    const running = await bench.driver.start(machine, bench.dir);
    using qmp = await connectQmp(join(bench.dir.runtimeDir, "qmp.sock"));
    const blocks = (await qmp.execute("query-named-block-nodes")) as { "node-name": string; ro: boolean }[];
    expect(Object.fromEntries(blocks.map((block) => [block["node-name"], block.ro]))).toEqual({
      "disk-rootfs": true,
      "disk-disk": false,
    });
    expect((await qmp.execute("query-cpus-fast")) as unknown[]).toHaveLength(2);
    await running.kill();
  });

  test("refuses a writable disk that another machine uses", async () => {
    await using first = await createContractBench(subject);
    await using second = await createContractBench(subject);
    const path = join(first.dir.stateDir, "disk.img");
    writeFileSync(path, new Uint8Array(1024 * 1024));
    const disks = [{ id: "disk", path, readOnly: false }];
    await first.driver.start({ ...first.machine, disks }, first.dir);
    const error = await second.driver.start({ ...second.machine, disks }, second.dir).then(
      () => undefined,
      (thrown: unknown) => BangerError.from(thrown),
    );
    expect(error?.message).toContain("lock");
  });

  test("names the package when QEMU is not installed", async () => {
    const driver = createQemuDriver({ verdictCachePath, binary: "qemu-system-nonesuch" });
    expect(await driver.probe()).toEqual({
      available: false,
      driver: "qemu",
      reason: "the program qemu-system-nonesuch is not installed",
      cure: "apt-get install qemu-system-x86",
    });
  });

  test("does not take another program for QEMU", async () => {
    const driver = createQemuDriver({ verdictCachePath, binary: "true" });
    expect(await driver.probe()).toMatchObject({
      available: false,
      reason: expect.stringContaining("not QEMU"),
    });
  });

  test("refuses a QEMU that is too old", async () => {
    await using bench = await createContractBench(subject);
    const binary = join(bench.dir.stateDir, "qemu-old");
    writeFileSync(binary, "#!/bin/sh\necho 'QEMU emulator version 6.2.0 (Debian 1:6.2)'\n", { mode: 0o700 });
    const driver = createQemuDriver({ verdictCachePath: join(bench.dir.stateDir, "verdicts.json"), binary });
    expect(await driver.probe()).toMatchObject({
      available: false,
      reason: expect.stringContaining("needs 7.2.0"),
    });
  });

  test("appends to the console file", async () => {
    await using bench = await createContractBench(subject);
    writeFileSync(bench.machine.consolePath, "earlier\n");
    const running = await bench.driver.start(bench.machine, bench.dir);
    await running.kill();
    expect(readFileSync(bench.machine.consolePath, "utf8")).toStartWith("earlier\n");
  });
});
