/** The agent channel: open at once, one at a time, again after it was closed, closed with the process. */
import { expect, test } from "bun:test";
import { type ContractContext, carriesBytes, closeOf, failureOf } from "./context.ts";

export function channelContract({ subject, setUp }: ContractContext): void {
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
