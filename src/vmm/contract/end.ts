/** The end of a machine: killed, crashed, killed again. */
import { expect, test } from "bun:test";
import { findHypervisors } from "../hypervisor-user.ts";
import { type ContractContext, failureOf } from "./context.ts";

export function endContract({ setUp }: ContractContext): void {
  test("kill() leaves no process and settles `exited`", async () => {
    const { driver, machine, dir } = await setUp();
    const running = await driver.start(machine, dir);
    await running.kill();
    expect(findHypervisors(machine.id)).toEqual([]);
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
    expect(findHypervisors(machine.id)).toEqual([]);
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
