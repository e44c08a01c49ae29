/** What goes wrong on the way to a running machine: every failure has Firecracker's own words, and leaves nothing. */
import { describe, expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  createFirecrackerStub,
  type FirecrackerStub,
  type StubOptions,
} from "../../../test/support/firecracker-stub/create.ts";
import type { Misdeed } from "../../../test/support/firecracker-stub/plan.ts";
import { BangerError } from "../../model/errors.ts";
import { type ContractBench, createContractBench, createTestMachine } from "../contract/bench.ts";
import { findHypervisors } from "../hypervisor-user.ts";
import { createFirecrackerDriver } from "./driver.ts";

async function withBench(
  options: StubOptions,
  work: (bench: ContractBench, stub: FirecrackerStub) => Promise<void>,
): Promise<void> {
  await using stub = createFirecrackerStub(options);
  await using bench = await createContractBench({
    name: "a failing Firecracker",
    createDriver: () =>
      createFirecrackerDriver({
        verdictCachePath: join(stub.dir, "verdicts.json"),
        chrootBase: join(stub.dir, "jails"),
        binary: stub.bin,
        jailerBinary: stub.jailerBin,
        jailer: "off",
        kvm: { kind: "works" },
        // Only what waits for it in vain need be quick.
        ...(options.start?.kind === "no-socket" ? { socketTimeoutMs: 500 } : {}),
      }),
    createMachine: createTestMachine,
  });
  await work(bench, stub);
}

async function failureOf(promise: Promise<unknown>): Promise<BangerError> {
  return await promise.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: unknown) => BangerError.from(error),
  );
}

async function startFailure(options: StubOptions, breaksRules = false): Promise<BangerError> {
  let error = new BangerError("internal", "never ran");
  await withBench(options, async (bench, stub) => {
    error = await failureOf(bench.driver.start(bench.machine, bench.dir));
    expect(findHypervisors(bench.machine.id)).toEqual([]);
    expect(readdirSync(bench.dir.runtimeDir)).toEqual([]);
    if (breaksRules) stub.expectViolations();
  });
  return error;
}

async function failureAt(on: string, misdeed: Misdeed): Promise<BangerError> {
  return await startFailure({ faults: [{ on, do: misdeed }] });
}

describe("a start of Firecracker", () => {
  test("that ends at once has its status and its words", async () => {
    const error = await startFailure({ start: { kind: "exit", code: 3, words: "cannot go on" } });
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("Firecracker ended at once (status 3)");
    expect(error.message).toContain("cannot go on");
  });

  test("whose socket never appears is ended at the deadline", async () => {
    const error = await startFailure({ start: { kind: "no-socket" } });
    expect(error.code).toBe("timeout");
    expect(error.message).toContain("the appearance of Firecracker's API socket");
  });

  test.each(["PUT /boot-source", "PUT /vsock", "PUT /actions"])(
    "that is refused %s has its fault_message",
    async (on) => {
      const error = await failureAt(on, { kind: "refuse", message: "no such thing, says Firecracker" });
      expect(error.code).toBe("unavailable");
      expect(error.message).toStartWith(`Firecracker refused ${on}: no such thing, says Firecracker`);
      expect(error.details).toMatchObject({ fault: "no such thing, says Firecracker", status: 400 });
    },
  );

  test("is not sent off when a part of the machine was refused", async () => {
    await withBench(
      { faults: [{ on: "PUT /vsock", do: { kind: "refuse", message: "no" } }] },
      async (bench, stub) => {
        await failureOf(bench.driver.start(bench.machine, bench.dir));
        expect(stub.requests().map(({ path }) => path)).not.toContain("/actions");
      },
    );
  });

  test.each([
    ["without an answer", false],
    ["after an answer", true],
  ])("that dies between two requests, %s, has its last words", async (_how, after) => {
    const error = await failureAt("PUT /vsock", { kind: "die", code: 7, words: "out of luck", after });
    expect(error.code).toBe("unavailable");
    expect(error.message).toContain("Firecracker ended at once (status 7)");
    expect(error.message).toContain("out of luck");
  });

  test.each<[string, Misdeed, string, string]>([
    ["cut off", { kind: "cut", bytes: 9 }, "unavailable", "in the middle of an answer"],
    ["no HTTP", { kind: "raw", text: "SSH-2.0-x\r\n\r\n" }, "internal", "not valid HTTP"],
    ["no JSON", { kind: "body", text: "{{{" }, "internal", "is not JSON"],
    ["huge", { kind: "huge", bytes: 2 * 1024 * 1024 }, "internal", "more than 1048576"],
    ["a refusal without words", { kind: "body", text: "", status: 500 }, "unavailable", "status 500"],
  ])("that answers with something %s says so", async (_what, misdeed, code, words) => {
    const error = await failureAt("PUT /machine-config", misdeed);
    expect(error).toMatchObject({ code });
    expect(error.message).toContain(words);
  });

  test("has the console's last lines of this start, and none of an earlier one", async () => {
    await withBench({}, async (bench, stub) => {
      const binary = join(stub.dir, "talkative");
      const script =
        '[ "$1" = --version ] && exec echo "Firecracker v1.13.1"; echo "the guest said this"; exit 1';
      writeFileSync(binary, `#!/bin/sh\n${script}\n`, { mode: 0o700 });
      const driver = createFirecrackerDriver({
        verdictCachePath: join(stub.dir, "verdicts.json"),
        chrootBase: join(stub.dir, "jails"),
        binary,
        jailer: "off",
      });
      writeFileSync(bench.machine.consolePath, "an earlier guest said that\n");
      const error = await failureOf(driver.start(bench.machine, bench.dir));
      expect(error.message).toEndWith("The console's last lines:\n  the guest said this");
    });
  });

  test("works over sockets that a crash left behind", async () => {
    await withBench({}, async (bench) => {
      for (const name of ["api.sock", "v.sock", "v.sock_1024"]) {
        writeFileSync(join(bench.dir.runtimeDir, name), "");
      }
      const running = await bench.driver.start(bench.machine, bench.dir);
      await running.kill();
    });
  });

  test("that is aborted while it waits leaves nothing", async () => {
    await withBench({ start: { kind: "no-socket" } }, async (bench) => {
      const controller = new AbortController();
      const starting = failureOf(bench.driver.start(bench.machine, bench.dir, { signal: controller.signal }));
      controller.abort(new BangerError("timeout", "took too long"));
      expect(await starting).toMatchObject({ code: "timeout", message: "took too long" });
      expect(findHypervisors(bench.machine.id)).toEqual([]);
    });
  });

  test.each([
    [{ vcpus: 33 }, "at most 32 vCPUs"],
    [{ id: "x".repeat(60) }, "too long"],
  ])(
    "of a machine that Firecracker cannot be is refused before anything is touched: %j",
    async (change, words) => {
      await withBench({}, async (bench, stub) => {
        const error = await failureOf(bench.driver.start({ ...bench.machine, ...change }, bench.dir));
        expect(error.code).toBe("invalid_argument");
        expect(error.message).toContain(words);
        expect(stub.records()).toEqual([]);
      });
    },
  );
});

describe("a running Firecracker", () => {
  test("that dies between two orders makes the next one unavailable", async () => {
    await withBench(
      { faults: [{ on: "PATCH /vm", nth: 1, do: { kind: "die", code: 1, after: true } }] },
      async (bench) => {
        const running = await bench.driver.start(bench.machine, bench.dir);
        await running.pause();
        expect((await running.exited).code).toBe(1);
        expect((await failureOf(running.resume())).code).toBe("unavailable");
      },
    );
  });

  test("that describes itself in a way that makes no sense is not believed", async () => {
    await withBench(
      { faults: [{ on: "GET /vm/config", do: { kind: "body", text: '{"drives":"none"}' } }] },
      async (bench, stub) => {
        const running = await bench.driver.start(bench.machine, bench.dir);
        expect(await failureOf(running.diskGrown("disk", 4096))).toMatchObject({ code: "internal" });
        await running.kill();
        stub.expectViolations();
      },
    );
  });

  test("that refuses an order is heard", async () => {
    await withBench(
      { faults: [{ on: "PATCH /vm", do: { kind: "refuse", message: "not now" } }] },
      async (bench) => {
        const running = await bench.driver.start(bench.machine, bench.dir);
        expect(await failureOf(running.pause())).toMatchObject({
          code: "failed_precondition",
          message: "Firecracker refused PATCH /vm: not now",
        });
        await running.kill();
      },
    );
  });

  test("whose vsock greets with noise fails the channel", async () => {
    await withBench({ vsock: { kind: "garbage" } }, async (bench) => {
      const running = await bench.driver.start(bench.machine, bench.dir);
      const channel = await running.channel();
      const failed = new Promise<unknown>((resolve) => channel.once("error", resolve));
      expect(await failed).toMatchObject({ code: "guest_error" });
      await running.kill();
    });
  });

  test("whose guest never answers keeps the channel silent, and closes it with its end", async () => {
    await withBench({ vsock: { kind: "refuse" } }, async (bench) => {
      const running = await bench.driver.start(bench.machine, bench.dir);
      const channel = await running.channel();
      channel.write("is anybody there?");
      const closed = new Promise((resolve) => channel.resume().once("close", resolve));
      await running.kill();
      await closed;
    });
  });
});
