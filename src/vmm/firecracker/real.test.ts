/**
 * Level 2: the driver with the real Firecracker, up to and including InstanceStart; the guest is an endless HLT, so that it does
 * not matter what KVM makes of it. FIRECRACKER_BIN names the program; BANGER_REQUIRE=firecracker makes its absence a failure.
 */
import { afterAll, describe, expect, test } from "bun:test";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { z } from "zod";
import { findRealPrograms, type RealPrograms } from "../../../test/support/firecracker-stub/real-programs.ts";
import { BangerError } from "../../model/errors.ts";
import type { Machine, Rate } from "../../model/machine.ts";
import { type ContractBench, createContractBench, createTestMachine } from "../contract/bench.ts";
import { type ContractSubject, driverContract } from "../contract.ts";
import type { Running } from "../port.ts";
import { createApiClient } from "./api-client.ts";
import { createFirecrackerDriver } from "./driver.ts";
import type { JailerWish } from "./host-findings.ts";
import { jailOwner } from "./jail-paths.ts";
import { runProbeGuest } from "./kvm-probe.ts";
import { createProbeKernel } from "./probe-guest.ts";

/** `hlt; jmp` to it. */
const IDLE = Uint8Array.of(0xf4, 0xeb, 0xfd);

const programs = findRealPrograms("the driver with the real Firecracker (level 2)");
const noKvm = kvmFault();
if (programs !== undefined && noKvm !== undefined)
  console.warn(`skipped: the driver with the real Firecracker (level 2): ${noKvm}`);
else if (programs !== undefined) levelTwo(programs);

function levelTwo(real: RealPrograms): void {
  const scratch = mkdtempSync(join(tmpdir(), "fc-real-"));
  afterAll(() => rmSync(scratch, { recursive: true }));
  const subjectOf = (name: string, jailer: JailerWish): ContractSubject => ({
    name,
    createDriver: () =>
      createFirecrackerDriver({
        verdictCachePath: join(scratch, "verdicts.json"),
        chrootBase: join(scratch, "jails"),
        binary: real.bin,
        jailerBinary: real.jailerBin ?? "jailer",
        jailer,
        kvm: { kind: "works" },
      }),
    createMachine: (id, directory) => createTestMachine(id, directory, createProbeKernel(IDLE)),
    // Firecracker resets the guest's vsock device with every snapshot (its docs/snapshotting/snapshot-support.md).
    keepsChannel: false,
  });
  driverContract(subjectOf("the real Firecracker", "off"));
  behaviour(subjectOf("the real Firecracker", "off"));
  const noJail = jailFault(real);
  if (noJail === undefined) {
    driverContract(subjectOf("the real Firecracker in a jail", "on"));
    jailBehaviour(subjectOf("the real Firecracker in a jail", "on"), join(scratch, "jails"));
  } else console.warn(`skipped: the real Firecracker in a jail (level 2): ${noJail}`);

  test("the probe guest gives a verdict, and soon", async () => {
    const since = performance.now();
    const trial = await runProbeGuest({ program: real.bin });
    expect(performance.now() - since).toBeLessThan(20_000);
    if (!trial.works) expect(trial.words).not.toBe("");
  });
}

function behaviour(subject: ContractSubject): void {
  describe(subject.name, () => {
    test("takes disks, their serials and their growth, and says in its own words what it refuses", async () => {
      await using bench = await createContractBench(subject);
      const path = join(bench.dir.stateDir, "disk.ext4");
      writeFileSync(path, new Uint8Array(1024 * 1024));
      const disks = [{ id: "my-disk", path, readOnly: false }];
      const running = await bench.driver.start({ ...bench.machine, disks }, bench.dir);
      writeFileSync(path, new Uint8Array(2 * 1024 * 1024));
      await running.diskGrown("my-disk", 2 * 1024 * 1024);
      await running.kill();
      const notKernel = { ...bench.machine, kernelPath: bench.machine.initramfsPath };
      const error = await bench.driver.start(notKernel, bench.dir).catch((thrown: unknown) => thrown);
      expect(error).toMatchObject({ code: "unavailable" });
      expect(BangerError.from(error).message).toMatch(/^Firecracker refused PUT \/actions: .*[Kk]ernel/);
      expect(readdirSync(bench.dir.runtimeDir)).toEqual([]);
    });

    test("takes rates of disks, and gives a clone its own", async () => {
      await using first = await createContractBench(subject);
      await using second = await createContractBench(subject);
      const limited = (bench: ContractBench, rate: Rate): Machine => {
        const path = join(bench.dir.stateDir, "disk.ext4");
        writeFileSync(path, new Uint8Array(1024 * 1024));
        return { ...bench.machine, disks: [{ id: "disk", path, readOnly: false, rate }] };
      };
      const saved = limited(first, { bytesPerSecond: 2 ** 22, opsPerSecond: 100 });
      const running = await first.driver.start(saved, first.dir);
      expect(await limiterOfDrive(running)).toMatchObject({
        bandwidth: { size: 2 ** 22, refill_time: 1000 },
        ops: { size: 100, refill_time: 1000 },
      });
      await running.pause();
      const snapshotDir = join(first.dir.stateDir, "snapshot");
      mkdirSync(snapshotDir, { mode: 0o700 });
      await running.snapshot(snapshotDir);
      await running.kill();
      const clone = limited(second, { opsPerSecond: 200 });
      const resumed = await second.driver.resume(clone, snapshotDir, second.dir);
      const limiter = await limiterOfDrive(resumed);
      expect(limiter).toMatchObject({ ops: { size: 200, refill_time: 1000 } });
      expect(limiter.bandwidth ?? undefined).toBeUndefined();
      await resumed.kill();
    });

    test("writes a snapshot that another process starts from", async () => {
      await using first = await createContractBench(subject);
      await using second = await createContractBench(subject);
      const running = await first.driver.start(first.machine, first.dir);
      await running.pause();
      const snapshotDir = join(first.dir.stateDir, "snapshot");
      mkdirSync(snapshotDir, { mode: 0o700 });
      await running.snapshot(snapshotDir);
      await running.kill();
      expect(statSync(join(snapshotDir, "memory")).size).toBe(64 * 1024 * 1024);
      const resumed = await second.driver.resume(second.machine, snapshotDir, second.dir);
      await resumed.pause();
      await resumed.kill();
    });
  });
}

function jailBehaviour(subject: ContractSubject, base: string): void {
  describe(subject.name, () => {
    test("runs as nobody in a root of its own, and its snapshot comes out of there", async () => {
      await using bench = await createContractBench(subject);
      const path = join(bench.dir.stateDir, "disk.ext4");
      writeFileSync(path, new Uint8Array(1024 * 1024));
      const disks = [{ id: "disk", path, readOnly: false }];
      const machine = { ...bench.machine, disks };
      const running = await bench.driver.start(machine, bench.dir);
      const { uid } = jailOwner(machine.id);
      const status = readFileSync(`/proc/${running.handles.process.pid}/status`, "utf8");
      expect(status).toContain(`\nUid:\t${[uid, uid, uid, uid].join("\t")}\n`);
      expect(running.handles.sockets["api"]).toStartWith(`${base}/`);
      await running.diskGrown("disk", 1024 * 1024);
      await running.pause();
      const snapshotDir = join(bench.dir.stateDir, "snapshot");
      mkdirSync(snapshotDir, { mode: 0o700 });
      await running.snapshot(snapshotDir);
      await running.kill();
      for (const name of ["state", "memory"]) {
        expect(statSync(join(snapshotDir, name))).toMatchObject({ uid: 0, nlink: 1 });
      }
      const resumed = await bench.driver.resume(machine, snapshotDir, bench.dir);
      await resumed.kill();
    });

    test("is told apart from its jailer when that fails, and leaves no jail", async () => {
      await using bench = await createContractBench(subject);
      const notKernel = { ...bench.machine, kernelPath: bench.machine.initramfsPath };
      const error = await bench.driver.start(notKernel, bench.dir).catch((thrown: unknown) => thrown);
      expect(BangerError.from(error).message).toStartWith("Firecracker refused PUT /actions: ");
      const left = readdirSync(base).flatMap((program) => readdirSync(join(base, program)));
      expect(left).not.toContain(`banger-${bench.machine.id}`);
    });
  });
}

/** What Firecracker says of its one drive. */
async function limiterOfDrive(running: Running): Promise<{ bandwidth?: unknown; ops?: unknown }> {
  using api = createApiClient(running.handles.sockets["api"] ?? "");
  const config = z.object({
    drives: z.tuple([z.object({ rate_limiter: z.object({ bandwidth: z.unknown(), ops: z.unknown() }) })]),
  });
  return config.parse(await api.send({ method: "GET", path: "/vm/config" })).drives[0].rate_limiter;
}

function kvmFault(): string | undefined {
  if (!existsSync("/dev/kvm")) return "there is no /dev/kvm";
  return undefined;
}

function jailFault(real: RealPrograms): string | undefined {
  if (process.geteuid?.() !== 0) return "it needs root";
  if (real.jailerBin === undefined) return `there is no jailer in ${dirname(real.bin)}`;
  return undefined;
}
