import { describe, expect, test } from "bun:test";
import { once } from "node:events";
import type { Duplex } from "node:stream";
import { BangerError } from "../../model/errors.ts";
import { createContractBench, createTestMachine } from "../contract/bench.ts";
import { type ContractSubject, driverContract } from "../contract.ts";
import { createFakeDriver, type FakeDriverOptions, type Fault } from "./driver.ts";
import { stubbornProgram } from "./programs.ts";

const subject: ContractSubject = {
  name: "the fake",
  createDriver: () => createFakeDriver(),
  createMachine: createTestMachine,
  exchange: echoes,
};

driverContract(subject);

describe("a fake driver with a fault", () => {
  test("fail-start makes no process", async () => {
    expect((await startWith("fail-start")).message).toContain("told to fail");
  });

  test("exit-at-once fails with the process's last words", async () => {
    const error = await startWith("exit-at-once");
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("cannot go on");
    expect(error.details).toMatchObject({ code: 3 });
  });

  test("never-answer connects and stays silent", async () => {
    await using bench = await createContractBench(withOptions({ faults: () => "never-answer" }));
    const running = await bench.driver.start(bench.machine, bench.dir);
    const channel = await running.channel();
    let received = 0;
    channel.on("data", (bytes: Uint8Array) => {
      received += bytes.byteLength;
    });
    channel.on("error", () => undefined); // The kill resets it, because nobody read what was written.
    channel.write("hello");
    const closed = new Promise<void>((resolve) => channel.once("close", resolve));
    await running.kill();
    await closed;
    expect(received).toBe(0);
  });

  test("garbage sends noise and hangs up", async () => {
    await using bench = await createContractBench(withOptions({ faults: () => "garbage" }));
    const channel = await (await bench.driver.start(bench.machine, bench.dir)).channel();
    let received = 0;
    for await (const bytes of channel as AsyncIterable<Uint8Array>) received += bytes.byteLength;
    expect(received).toBe(1024 * 1024);
  });

  test("faults can be given to the n-th machine only", async () => {
    let starts = 0;
    const faults = (): Fault | undefined => (++starts === 2 ? "fail-start" : undefined);
    await using bench = await createContractBench(withOptions({ faults }));
    const first = await bench.driver.start(bench.machine, bench.dir);
    await first.kill();
    const second = await bench.driver.start(bench.machine, bench.dir).catch((error: unknown) => error);
    expect(second).toBeInstanceOf(BangerError);
    await bench.driver.start(bench.machine, bench.dir);
  });
});

test("kill() of a process that ignores TERM kills it after the grace", async () => {
  await using bench = await createContractBench(withOptions({ program: stubbornProgram }));
  const running = await bench.driver.start(bench.machine, bench.dir);
  // Its first byte says that it ignores TERM by now.
  await once(await running.channel(), "data");
  await running.kill({ graceMs: 50 });
  expect((await running.exited).signal).toBe("SIGKILL");
});

async function startWith(fault: Fault): Promise<BangerError> {
  await using bench = await createContractBench(withOptions({ faults: () => fault }));
  return await bench.driver.start(bench.machine, bench.dir).then(
    () => {
      throw new Error("it started");
    },
    (error: unknown) => BangerError.from(error),
  );
}

function withOptions(options: FakeDriverOptions): ContractSubject {
  return { ...subject, createDriver: () => createFakeDriver(options) };
}

async function echoes(channel: Duplex): Promise<void> {
  channel.write("hello");
  let heard = "";
  while (heard.length < 5) {
    const [bytes] = (await once(channel, "data")) as [Uint8Array];
    heard += Buffer.from(bytes).toString();
  }
  expect(heard).toBe("hello");
}
