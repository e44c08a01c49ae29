/** start(): one process with its marker, its own session, nothing left on failure. */
import { expect, test } from "bun:test";
import { closeSync, openSync, readdirSync, readlinkSync, statSync } from "node:fs";
import { BangerError } from "../../model/errors.ts";
import { findHypervisors } from "../hypervisor-user.ts";
import type { ProcessHandle } from "../port.ts";
import { type ContractContext, expectNothingLeft, failureOf } from "./context.ts";

export function startContract({ setUp }: ContractContext): void {
  test("makes one process that carries the machine's marker", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    expect(findHypervisors(machine.id).map((found) => found.pid)).toEqual([running.handles.process.pid]);
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
      const open = openFiles(pid);
      expect(open.length).toBeGreaterThanOrEqual(3);
      expect(open).not.toContain(ours);
    } finally {
      closeSync(held);
    }
  });

  test("tells of its process while it starts, once, and it stays that process", async () => {
    const { driver, machine, dir } = await setUp();
    const told: ProcessHandle[] = [];
    const running = await driver.start(machine, dir, { spawned: (process) => void told.push(process) });
    expect(told).toEqual([running.handles.process]);
  });

  test("fails with what whoever was told of its process throws, and leaves nothing", async () => {
    const { driver, machine, dir } = await setUp();
    const spawned = (): Promise<void> => Promise.reject(new BangerError("internal", "not here"));
    const error = await failureOf(driver.start(machine, dir, { spawned }));
    expect(error.message).toContain("not here");
    expectNothingLeft(machine, dir.runtimeDir);
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

/** Where the descriptors of a process lead; one that it closes while we look leads nowhere. */
function openFiles(pid: number): string[] {
  const directory = `/proc/${pid}/fd`;
  return readdirSync(directory).flatMap((fd) => {
    try {
      return [readlinkSync(`${directory}/${fd}`)];
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
      throw error;
    }
  });
}
