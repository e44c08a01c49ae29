/** What a running machine offers besides. */
import { expect, test } from "bun:test";
import { type ContractContext, carriesBytes, failureOf } from "./context.ts";

export function runningContract({ subject, setUp }: ContractContext): void {
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

  if (subject.snapshots === false) {
    test("refuses a snapshot", async () => {
      const { driver, machine, dir } = await setUp();
      const running = await driver.start(machine, dir);
      expect((await failureOf(running.snapshot(dir.stateDir))).code).toBe("unsupported");
      expect((await failureOf(driver.resume(machine, dir.stateDir, dir))).code).toBe("unsupported");
    });
  }

  test("probe() says that the driver can run", async () => {
    const { driver } = await setUp();
    expect(await driver.probe()).toMatchObject({
      available: true,
      driver: driver.name,
      features: { snapshot: subject.snapshots !== false },
    });
  });
}
