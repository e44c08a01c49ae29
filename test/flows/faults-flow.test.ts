/** Starts that go wrong and guests that misbehave, with the fake hypervisor: clear errors, and nothing left behind. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { OPERATION_HEADER } from "../../src/api/paths.ts";
import { createLog } from "../../src/daemon/log.ts";
import type { Fault } from "../../src/vmm/fake/driver.ts";
import { lyingAgent } from "../support/lying-agent.ts";
import { hypervisorsOf } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";

async function failing(fault: Fault): Promise<TestDaemon> {
  const daemon = await createTestDaemon({
    // Only what waits for it need be quick; a busy machine is slow with everything else.
    bootDeadlineMs: fault === "never-answer" ? 3_000 : 20_000,
    driver: { faults: (machine) => (machine.vcpus === 7 ? fault : undefined) },
  });
  await daemon.addImage("img");
  return daemon;
}

test.each([
  ["fail-start", "unavailable", "told to fail"],
  ["exit-at-once", "unavailable", "cannot go on"],
  ["never-answer", "timeout", "did not answer within 3 s"],
  ["garbage", "guest_error", "closed before the agent answered"],
] as const)(
  "a start that meets %s is %s, and leaves a stopped VM that says why",
  async (fault, code, words) => {
    await using daemon = await failing(fault);
    const error = await refusal(daemon.client.createVm({ name: "odd", image: "img", vcpus: 7 }));
    expect(error.code).toBe(code);
    expect(error.message).toContain(words);
    const vm = await daemon.client.showVm("odd");
    expect(vm.state).toBe("stopped");
    expect(vm.lastError?.code).toBe(code);
    expect(vm.pid).toBeUndefined();
    expect(hypervisorsOf(daemon.home)).toEqual([]);
    // The daemon serves on, and so do other VMs.
    expect((await daemon.client.createVm({ name: "fine", image: "img" })).state).toBe("running");
  },
);

test("a guest that never answers: the error carries the console's last lines", async () => {
  await using daemon = await failing("never-answer");
  const error = await refusal(daemon.client.createVm({ name: "odd", image: "img", vcpus: 7 }), "timeout");
  expect(error.message).toContain("The console's last lines:\n  fake machine");
  expect(error.cure).toContain("banger logs");
  expect(error.cure).toContain("boot_timeout");
});

test("every line that a failed start writes to the log bears the operation id of the answer", async () => {
  const lines: string[] = [];
  await using daemon = await createTestDaemon({
    log: createLog("debug", (line) => lines.push(line)),
    driver: { faults: () => "fail-start" },
  });
  await daemon.addImage("img");
  const init: RequestInit & { unix: string } = {
    unix: daemon.layout.socket,
    method: "POST",
    body: JSON.stringify({ name: "odd", image: "img" }),
  };
  const response = await fetch("http://banger/v1/vms", init);
  expect(await response.text()).toContain('"event":"error"');
  const operation = response.headers.get(OPERATION_HEADER);
  const said = lines.map((line) => JSON.parse(line) as { msg: string; operation?: string });
  const ofStart = said.filter(({ msg }) => msg === "start failed" || msg.includes("told to fail"));
  expect(ofStart.map((line) => line.operation)).toEqual([operation, operation].map(String));
});

test("run --rm of a VM that does not start deletes it", async () => {
  await using daemon = await failing("never-answer");
  const command = daemon.client.run({
    vm: { image: "img", vcpus: 7 },
    exec: { argv: ["true"] },
    remove: true,
  });
  await refusal(command.exit, "timeout");
  expect(daemon.store.vms.list()).toEqual([]);
});

test("a start is ended by stop, and by rm -f", async () => {
  await using daemon = await createTestDaemon({ driver: { faults: () => "never-answer" } });
  await daemon.addImage("img");
  const { client } = daemon;
  await client.createVm({ name: "odd", image: "img" }, { start: false });
  for (const end of [
    async () => await client.stopVm("odd"),
    async () => await client.removeVm("odd", { force: true }),
  ]) {
    const booting = Promise.withResolvers<void>();
    const start = refusal(
      client.startVm("odd", {
        onProgress: (line) => line.event === "begin" && line.stage === "boot" && booting.resolve(),
      }),
    );
    await booting.promise;
    expect((await client.showVm("odd")).state).toBe("starting");
    await end();
    expect((await start).code).toBe("cancelled");
  }
  expect(await client.listVms()).toEqual([]);
});

test("a client that goes away cancels its start", async () => {
  await using daemon = await createTestDaemon({ driver: { faults: () => "never-answer" } });
  await daemon.addImage("img");
  const abort = new AbortController();
  const start = daemon.client.createVm(
    { name: "odd", image: "img" },
    {
      signal: abort.signal,
      onProgress: (line) => {
        if (line.event === "begin" && line.stage === "boot") abort.abort();
      },
    },
  );
  await refusal(start, "cancelled");
  // stop waits for the VM's lock, and so for the end of the start.
  await daemon.client.stopVm("odd");
  expect(await daemon.client.showVm("odd")).toMatchObject({
    state: "stopped",
    lastError: { code: "cancelled" },
  });
});

test("a hypervisor that dies is seen at once: its commands fail, the record says why", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  const vm = await daemon.client.createVm({ name: "web", image: "img" });
  const command = daemon.client.exec("web", { argv: ["cat"] });
  await command.started;
  process.kill(vm.pid ?? 0, "SIGKILL");
  await refusal(command.exit, "unavailable");
  // stop waits for the lock that the burial holds, and finds nothing left to do.
  const after = await daemon.client.stopVm("web");
  expect(after.state).toBe("stopped");
  expect(after.lastError?.message).toContain("SIGKILL");
});

test("a guest that breaks the protocol while it runs fails alone, and its exec hears why", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "good", image: "img" });
  await using hostile = await createTestDaemon({ driver: { program: lyingAgent } });
  await hostile.addImage("img");
  const { client } = hostile;
  const { pid = 0 } = await client.createVm({ name: "bad", image: "img" });
  const error = await refusal(client.exec("bad", { argv: ["true"] }).exit, "guest_error");
  expect(error.message).toContain("bad type");
  // stop waits for the lock that the burial holds, and finds nothing left to do.
  expect(await client.stopVm("bad")).toMatchObject({ state: "stopped", lastError: { code: "guest_error" } });
  expect(existsSync(`/proc/${pid}`)).toBe(false);
  expect(await client.daemonStatus()).toMatchObject({ vms: 1, running: 0 });
  expect(await daemon.client.exec("good", { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
});
