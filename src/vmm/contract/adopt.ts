/** adopt(): takes over what runs, and nothing else. */
import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { identifyProcess } from "../../lib/process-identity.ts";
import { findHypervisors } from "../hypervisor-user.ts";
import { type ContractContext, carriesBytes, failureOf, present, writtenDown } from "./context.ts";

export function adoptContract({ subject, setUp }: ContractContext): void {
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
    expect(findHypervisors(machine.id)).toEqual([]);
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
