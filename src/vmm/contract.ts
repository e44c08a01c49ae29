/**
 * What every driver has to do, as tests. A driver's own test file calls `driverContract` with its factory; a driver
 * passes or is none.
 */
import { afterEach, describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync, readdirSync, readlinkSync, statSync } from "node:fs";
import type { Duplex } from "node:stream";
import { findByCommandLine, identifyProcess } from "../lib/process-identity.ts";
import { BangerError } from "../model/errors.ts";
import type { Machine } from "../model/machine.ts";
import { type ContractBench, createContractBench } from "./contract-bench.ts";
import { type Driver, type DriverHandles, processMarker, type Running } from "./port.ts";

export interface ContractSubject {
  readonly name: string;
  /** Makes a new driver; no two share anything but the host. */
  readonly createDriver: () => Driver;
  /** Describes a machine that runs until it is killed; its files go into `directory`. */
  readonly createMachine: (id: string, directory: string) => Machine;
  /** Proves that bytes travel both ways. Left out where the machine's guest does not answer. */
  readonly exchange?: (channel: Duplex) => Promise<void>;
}

export function driverContract(subject: ContractSubject): void {
  describe(`${subject.name} driver`, () => {
    const benches: ContractBench[] = [];
    afterEach(async () => {
      for (const bench of benches.splice(0)) await bench[Symbol.asyncDispose]();
    });
    const setUp = async (): Promise<ContractBench> => {
      const bench = await createContractBench(subject);
      benches.push(bench);
      return bench;
    };
    const context = { subject, setUp };
    describe("start()", () => startContract(context));
    describe("a channel", () => channelContract(context));
    describe("the end of a machine", () => endContract(context));
    describe("adopt()", () => adoptContract(context));
    describe("a running machine", () => runningContract(context));
  });
}

interface Context {
  readonly subject: ContractSubject;
  readonly setUp: () => Promise<ContractBench>;
}

function startContract({ setUp }: Context): void {
  test("makes one process that carries the machine's marker", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    expect(findByCommandLine(processMarker(machine.id)).map((found) => found.pid)).toEqual([
      running.handles.process.pid,
    ]);
    expect(running.handles.machineId).toBe(machine.id);
  });

  test("puts the process into a session of its own", async () => {
    const { driver, machine, dir } = await setUp();
    const { pid } = (await driver.start(machine, dir)).handles.process;
    const fields = (await Bun.file(`/proc/${pid}/stat`).text()).split(") ")[1]?.split(" ") ?? [];
    // State, parent, process group, session, terminal (proc(5)).
    expect(fields.slice(2, 5)).toEqual([String(pid), String(pid), "0"]);
  });

  test("keeps console, log and sockets to their owner", async () => {
    const { driver, machine, dir } = await setUp();
    await driver.start(machine, dir);
    const files = [dir.stateDir, dir.runtimeDir].flatMap((folder) =>
      readdirSync(folder).map((name) => `${folder}/${name}`),
    );
    expect(files.length).toBeGreaterThanOrEqual(2);
    for (const file of [...files, machine.consolePath]) expect(statSync(file).mode & 0o777).toBe(0o600);
  });

  test("leaves no descriptor of ours open in the process", async () => {
    const { driver, machine, dir } = await setUp();
    const ours = `${dir.stateDir}/ours`;
    const held = openSync(ours, "w");
    try {
      const { pid } = (await driver.start(machine, dir)).handles.process;
      const open = readdirSync(`/proc/${pid}/fd`).map((fd) => readlinkSync(`/proc/${pid}/fd/${fd}`));
      expect(open.length).toBeGreaterThanOrEqual(3);
      expect(open).not.toContain(ours);
    } finally {
      closeSync(held);
    }
  });

  test("refuses a machine that makes no sense", async () => {
    const { driver, machine, dir } = await setUp();
    const error = await failureOf(driver.start({ ...machine, vcpus: 0 }, dir));
    expect(error.code).toBe("invalid_argument");
  });

  test("says why and leaves nothing when the kernel is missing", async () => {
    const { driver, machine, dir } = await setUp();
    const error = await failureOf(driver.start({ ...machine, kernelPath: "/nonexistent/vmlinux" }, dir));
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("/nonexistent/vmlinux");
    expectNothingLeft(machine, dir.runtimeDir);
  });

  test("leaves nothing when it was aborted before", async () => {
    const { driver, machine, dir } = await setUp();
    const error = await failureOf(driver.start(machine, dir, { signal: AbortSignal.abort() }));
    expect(error.code).toBe("cancelled");
    expectNothingLeft(machine, dir.runtimeDir);
  });

  test("leaves nothing when it is aborted on its way", async () => {
    const { driver, machine, dir } = await setUp();
    const controller = new AbortController();
    const starting = failureOf(driver.start(machine, dir, { signal: controller.signal }));
    controller.abort();
    expect((await starting).code).toBe("cancelled");
    expectNothingLeft(machine, dir.runtimeDir);
  });

  test("works again in the directories of an earlier run", async () => {
    const { driver, machine, dir } = await setUp();
    await (await driver.start(machine, dir)).kill();
    const again = await driver.start(machine, dir);
    (await again.channel()).destroy();
  });
}

function channelContract({ subject, setUp }: Context): void {
  test("can be opened as soon as start() has returned", async () => {
    const { driver, machine, dir } = await setUp();
    const channel = await (await driver.start(machine, dir)).channel();
    await carriesBytes(subject, channel);
  });

  test("is refused while another is open", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    await running.channel();
    expect((await failureOf(running.channel())).code).toBe("failed_precondition");
  });

  test("can be opened again after the earlier one was closed", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    const first = await running.channel();
    first.destroy();
    await closeOf(first);
    await carriesBytes(subject, await running.channel());
  });

  test("closes when the process dies", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    const channel = await running.channel();
    // Bytes that nobody read make the close a reset.
    channel.on("error", (error: NodeJS.ErrnoException) => expect(error.code).toBe("ECONNRESET"));
    const closed = closeOf(channel.resume());
    process.kill(running.handles.process.pid, "SIGKILL");
    await closed;
  });

  test("is unavailable after the end", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    await running.kill();
    expect((await failureOf(running.channel())).code).toBe("unavailable");
  });
}

function endContract({ setUp }: Context): void {
  test("kill() leaves no process and settles `exited`", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    await running.kill();
    expect(findByCommandLine(processMarker(machine.id))).toEqual([]);
    const exit = await running.exited;
    expect(exit).toBe(await running.exited);
    expect(exit.code !== undefined || exit.signal !== undefined).toBe(true);
  });

  test("kill() without a grace kills", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    await running.kill({ graceMs: 0 });
    expect((await running.exited).signal).toBe("SIGKILL");
  });

  test("kill() may be repeated, and at once", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    await Promise.all([running.kill(), running.kill()]);
    await running.kill();
  });

  test("kill() ends a paused machine", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    await running.pause();
    await running.kill();
    expect(findByCommandLine(processMarker(machine.id))).toEqual([]);
  });

  test("a crash settles `exited`, and kill() is still safe", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    process.kill(running.handles.process.pid, "SIGKILL");
    expect(await running.exited).toMatchObject({ code: undefined, signal: "SIGKILL" });
    await running.kill();
    expect((await failureOf(running.pause())).code).toBe("unavailable");
    expect((await failureOf(running.stats())).code).toBe("unavailable");
  });
}

function adoptContract({ subject, setUp }: Context): void {
  test("takes over a running machine from handles that were written down", async () => {
    const { driver, machine, dir } = await setUp();
    const handles = writtenDown(await driver.start(machine, dir));
    const adopted = await subject.createDriver().adopt(handles, dir);
    expect(adopted?.handles).toEqual(handles);
    await carriesBytes(subject, await present(adopted).channel());
  });

  test("lets the adopter pause, resume and kill, and both sides see the end", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    const adopted = present(await subject.createDriver().adopt(writtenDown(running), dir));
    await adopted.pause();
    await adopted.resume();
    await adopted.kill();
    await Promise.all([running.exited, adopted.exited]);
    expect(findByCommandLine(processMarker(machine.id))).toEqual([]);
    await adopted.kill();
  });

  test("sees a crash of what was adopted", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    const adopted = present(await subject.createDriver().adopt(writtenDown(running), dir));
    process.kill(running.handles.process.pid, "SIGKILL");
    expect(await adopted.exited).toMatchObject({ code: undefined, signal: undefined });
    expect((await failureOf(adopted.stats())).code).toBe("unavailable");
  });

  test("finds nothing after the end", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    await running.kill();
    expect(await driver.adopt(writtenDown(running), dir)).toBeUndefined();
  });

  test("does not take a process that has the pid and is something else", async () => {
    const { driver, machine, dir } = await setUp();
    const handles = writtenDown(await driver.start(machine, dir));
    const other = spawn("sleep", ["60"], { stdio: "ignore" });
    try {
      const stranger = present(identifyProcess(other.pid ?? 0));
      expect(await driver.adopt({ ...handles, process: stranger }, dir)).toBeUndefined();
      const reused = { ...handles.process, startTicks: handles.process.startTicks - 1 };
      expect(await driver.adopt({ ...handles, process: reused }, dir)).toBeUndefined();
      const rebooted = { ...handles.process, bootId: "00000000-0000-0000-0000-000000000000" };
      expect(await driver.adopt({ ...handles, process: rebooted }, dir)).toBeUndefined();
      expect(await driver.adopt({ ...handles, machineId: `${machine.id}-2` }, dir)).toBeUndefined();
      expect(await driver.adopt({ ...handles, driver: "another" }, dir)).toBeUndefined();
    } finally {
      other.kill("SIGKILL");
      await once(other, "exit");
    }
  });
}

function runningContract({ subject, setUp }: Context): void {
  test("pauses and resumes, each as often as one likes", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    await running.pause();
    await running.pause();
    await running.resume();
    await running.resume();
    await carriesBytes(subject, await running.channel());
  });

  test("says how much CPU time and memory it uses", async () => {
    const { driver, machine, dir } = await setUp();
    const stats = await (await driver.start(machine, dir)).stats();
    expect(stats.cpuMs).toBeWithin(0, 60_000);
    expect(stats.rssBytes).toBeWithin(4096, 4 * 1024 ** 3);
  });

  test("refuses a snapshot where the driver has none", async () => {
    const { driver, machine, dir } = await setUp();
    const report = await driver.probe();
    if (!report.available || report.features.snapshot) return;
    const running = await driver.start(machine, dir);
    expect((await failureOf(running.snapshot(dir.stateDir))).code).toBe("unsupported");
    expect((await failureOf(driver.resume(machine, dir.stateDir, dir))).code).toBe("unsupported");
  });

  test("probe() says that the driver can run", async () => {
    const { driver } = await setUp();
    expect(await driver.probe()).toMatchObject({ available: true, driver: driver.name });
  });
}

async function carriesBytes(subject: ContractSubject, channel: Duplex): Promise<void> {
  if (subject.exchange !== undefined) await subject.exchange(channel);
  expect(channel.destroyed).toBe(false);
}

async function closeOf(channel: Duplex): Promise<void> {
  await new Promise<void>((resolve) => channel.once("close", resolve));
}

function expectNothingLeft(machine: Machine, runtimeDir: string): void {
  expect(findByCommandLine(processMarker(machine.id))).toEqual([]);
  expect(existsSync(runtimeDir) ? readdirSync(runtimeDir) : []).toEqual([]);
}

function writtenDown(running: Running): DriverHandles {
  return JSON.parse(JSON.stringify(running.handles)) as DriverHandles;
}

function present<T>(value: T | undefined): T {
  if (value === undefined) throw new Error("expected something");
  return value;
}

async function failureOf(promise: Promise<unknown>): Promise<BangerError> {
  const thrown = await promise.then(
    () => undefined,
    (error: unknown) => error,
  );
  expect(thrown).toBeInstanceOf(BangerError);
  return BangerError.from(thrown);
}
