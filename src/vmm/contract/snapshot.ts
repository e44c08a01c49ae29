/** snapshot() and resume(), of each driver that has them. */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BangerError } from "../../model/errors.ts";
import type { Running } from "../port.ts";
import { removeSnapshot, snapshotFiles } from "../snapshot-files.ts";
import type { ContractBench } from "./bench.ts";
import {
  type ContractContext,
  carriesBytes,
  expectNothingLeft,
  failureOf,
  present,
  writtenDown,
} from "./context.ts";

export function snapshotContract({ subject, setUp }: ContractContext): void {
  test("a paused machine is written into three files, and goes on", async () => {
    const { machine, running, dir } = await startOne();
    await running.pause();
    let captured = 0;
    await running.snapshot(dir, { captured: () => (captured += 1) });
    expect(captured).toBe(1);
    expect(readdirSync(dir).toSorted()).toEqual(["machine.json", "memory", "state"]);
    for (const name of readdirSync(dir)) expect(statSync(join(dir, name)).mode & 0o777).toBe(0o600);
    expect(statSync(snapshotFiles(dir).memory).size).toBeLessThanOrEqual(machine.memoryMib * 1024 ** 2);
    await running.resume();
    await carriesBytes(subject, await running.channel());
  });

  if (subject.keepsChannel !== false) {
    test("a snapshot keeps an open channel open", async () => {
      const { running, dir } = await startOne();
      const channel = await running.channel();
      await save(running, dir);
      await running.resume();
      await carriesBytes(subject, channel);
    });
  }

  test("a running machine is refused, and nothing is written", async () => {
    const { running, dir } = await startOne();
    expect((await failureOf(running.snapshot(dir))).code).toBe("failed_precondition");
    expect(readdirSync(dir)).toEqual([]);
  });

  test("a directory that is not empty is refused, and an earlier snapshot stays", async () => {
    const { running, dir } = await startOne();
    await save(running, dir);
    expect((await failureOf(running.snapshot(dir))).code).toBe("already_exists");
    expect((await failureOf(running.snapshot(join(dir, "nowhere")))).code).toBe("not_found");
    expect(readdirSync(dir)).toHaveLength(3);
  });

  test("an adopted machine can be written, too", async () => {
    const one = await startOne();
    const adopted = present(await subject.createDriver().adopt(writtenDown(one.running), one.bench.dir));
    await save(adopted, one.dir);
    await resumeOne(one.dir);
  });

  test("two machines go on from one snapshot at once, beside the original", async () => {
    const { running, dir } = await startOne();
    await save(running, dir);
    const [first, second] = await Promise.all([resumeOne(dir), resumeOne(dir)]);
    await running.resume();
    await first.running.kill();
    await carriesBytes(subject, await second.running.channel());
    await carriesBytes(subject, await running.channel());
  });

  test("a machine that came from a snapshot can be written again, when that is gone", async () => {
    const { running, dir } = await startOne();
    await save(running, dir);
    await running.kill();
    const child = await resumeOne(dir);
    removeSnapshot(dir);
    const childDir = snapshotDir(child.bench);
    await save(child.running, childDir);
    await child.running.kill();
    const grandchild = await resumeOne(childDir);
    await carriesBytes(subject, await grandchild.running.channel());
    await grandchild.running.pause();
    await grandchild.running.resume();
  });

  test("resume() goes on when all of the memory is written", async () => {
    const { running, dir } = await startOne();
    await save(running, dir);
    const written = Promise.withResolvers<void>();
    const { driver, machine, dir: runDir } = await setUp();
    let wentOn = false;
    const resuming = driver.resume(machine, dir, runDir, { whole: written.promise }).then((child) => {
      wentOn = true;
      return child;
    });
    // Another one, that waits for nothing, takes as long.
    const other = await resumeOne(dir);
    expect(wentOn).toBe(false);
    written.resolve();
    await carriesBytes(subject, await (await resuming).channel());
    await carriesBytes(subject, await other.running.channel());
  });

  test("resume() fails when the memory could not be written, and leaves nothing", async () => {
    const { running, dir } = await startOne();
    await save(running, dir);
    const whole = Promise.withResolvers<void>();
    whole.promise.catch(() => undefined);
    const { driver, machine, dir: runDir } = await setUp();
    const resuming = failureOf(driver.resume(machine, dir, runDir, { whole: whole.promise }));
    whole.reject(new BangerError("unavailable", "the disk is gone"));
    expect((await resuming).message).toBe("the disk is gone");
    expectNothingLeft(machine, runDir.runtimeDir);
  });

  test("resume() leaves nothing when it is aborted while the memory is written", async () => {
    const { running, dir } = await startOne();
    await save(running, dir);
    const whole = Promise.withResolvers<void>();
    const controller = new AbortController();
    const { driver, machine, dir: runDir } = await setUp();
    const options = { signal: controller.signal, whole: whole.promise };
    const resuming = failureOf(driver.resume(machine, dir, runDir, options));
    controller.abort();
    // A driver may begin when all is there.
    whole.resolve();
    expect((await resuming).code).toBe("cancelled");
    expectNothingLeft(machine, runDir.runtimeDir);
  });

  test("resume() tells of the machine that it returns, at most once, and its channel can be opened then", async () => {
    for (const whole of [undefined, Promise.resolve()]) {
      const { running, dir } = await startOne();
      await save(running, dir);
      const { driver, machine, dir: runDir } = await setUp();
      const told: { readonly running: Running; readonly channel: ReturnType<Running["channel"]> }[] = [];
      const resumed = await driver.resume(machine, dir, runDir, {
        whole,
        reachable: (running) => void told.push({ running, channel: running.channel() }),
      });
      expect(told.length).toBeLessThanOrEqual(1);
      for (const one of told) {
        expect(one.running).toBe(resumed);
        await carriesBytes(subject, await one.channel);
      }
    }
  });

  test("resume() refuses a machine of another shape, and leaves nothing", async () => {
    const { running, dir } = await startOne();
    await save(running, dir);
    const { driver, machine, dir: runDir } = await setUp();
    const disk = join(runDir.stateDir, "disk.img");
    writeFileSync(disk, new Uint8Array(1024 * 1024));
    for (const change of [
      { vcpus: 2 },
      { memoryMib: machine.memoryMib * 2 },
      { disks: [{ id: "disk", path: disk, readOnly: false }] },
    ]) {
      const error = await failureOf(driver.resume({ ...machine, ...change }, dir, runDir));
      expect(error.code).toBe("failed_precondition");
      expect(error.cure).toBeDefined();
      expectNothingLeft(machine, runDir.runtimeDir);
    }
  });

  test("resume() refuses a snapshot that is not whole, and leaves nothing", async () => {
    for (const name of ["description", "state", "memory"] as const) {
      const { running, dir } = await startOne();
      await save(running, dir);
      rmSync(snapshotFiles(dir)[name]);
      await refused(dir);
      writeFileSync(snapshotFiles(dir).description, "{}");
      await refused(dir);
    }
  });

  test("resume() says what is wrong with a state that was cut off, and leaves nothing", async () => {
    const { running, dir } = await startOne();
    await save(running, dir);
    const { state } = snapshotFiles(dir);
    truncateSync(state, Math.floor(statSync(state).size / 2));
    const { driver, machine, dir: runDir } = await setUp();
    const error = await failureOf(driver.resume(machine, dir, runDir));
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("state");
    expectNothingLeft(machine, runDir.runtimeDir);
  });

  test("resume() leaves nothing when it is aborted on its way", async () => {
    const { running, dir } = await startOne();
    await save(running, dir);
    const { driver, machine, dir: runDir } = await setUp();
    const controller = new AbortController();
    const resuming = failureOf(driver.resume(machine, dir, runDir, { signal: controller.signal }));
    controller.abort();
    expect((await resuming).code).toBe("cancelled");
    expectNothingLeft(machine, runDir.runtimeDir);
  });

  test("a hypervisor that dies half-way leaves a whole snapshot or none", async () => {
    const { running, dir } = await startOne();
    await running.pause();
    const saving = running.snapshot(dir).then(
      () => "whole" as const,
      () => "none" as const,
    );
    process.kill(running.handles.process.pid, "SIGKILL");
    if ((await saving) === "none") expect(readdirSync(dir)).toEqual([]);
    else await resumeOne(dir);
    expect((await failureOf(running.snapshot(join(dir, "..")))).code).toBe("unavailable");
  });

  async function startOne(): Promise<One> {
    const bench = await setUp();
    const running = await bench.driver.start(bench.machine, bench.dir);
    return { bench, machine: bench.machine, running, dir: snapshotDir(bench) };
  }

  async function resumeOne(dir: string): Promise<{ bench: ContractBench; running: Running }> {
    const bench = await setUp();
    return { bench, running: await bench.driver.resume(bench.machine, dir, bench.dir) };
  }

  async function refused(dir: string): Promise<void> {
    const { driver, machine, dir: runDir } = await setUp();
    expect((await failureOf(driver.resume(machine, dir, runDir))).code).toBe("failed_precondition");
    expectNothingLeft(machine, runDir.runtimeDir);
  }
}

interface One {
  readonly bench: ContractBench;
  readonly machine: ContractBench["machine"];
  readonly running: Running;
  readonly dir: string;
}

async function save(running: Running, dir: string): Promise<void> {
  await running.pause();
  await running.snapshot(dir);
}

function snapshotDir(bench: ContractBench): string {
  const path = join(bench.dir.stateDir, "snapshot");
  mkdirSync(path, { mode: 0o700 });
  return path;
}
