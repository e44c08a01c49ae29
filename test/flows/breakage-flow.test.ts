/** What breaks beside the machine: verbs still do what they say, and errors tell what came first. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { BangerError } from "../../src/model/errors.ts";
import { createFakeDriver } from "../../src/vmm/fake/driver.ts";
import { agentProgram } from "../../src/vmm/fake/programs.ts";
import type { Driver, Running } from "../../src/vmm/port.ts";
import { AGENT } from "../support/agent.ts";
import { hypervisorsOf } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { WEB, withWeb } from "../support/snapshot-daemon.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";

/** A hypervisor that, once paused, takes no orders any more but its end. */
function createStubbornDriver(): Driver {
  const fake = createFakeDriver({ program: agentProgram(AGENT) });
  const stubborn = (running: Running): Running => ({
    ...running,
    resume: async () => {
      throw new BangerError("timeout", "the hypervisor did not answer");
    },
  });
  return {
    name: fake.name,
    probe: async () => await fake.probe(),
    start: async (...words) => stubborn(await fake.start(...words)),
    resume: async (...words) => stubborn(await fake.resume(...words)),
    adopt: async (...words) => await fake.adopt(...words),
  };
}

test("stop ends a paused VM whose hypervisor takes no orders, and the record says so", async () => {
  await using daemon = await createTestDaemon({ drivers: [createStubbornDriver()] });
  await daemon.addImage("img");
  const { client } = daemon;
  await client.createVm(WEB);
  await client.pauseVm("web");
  expect(await client.stopVm("web")).toMatchObject({
    state: "stopped",
    lastError: { code: "timeout", message: "the hypervisor did not answer" },
  });
  expect(hypervisorsOf(daemon.home)).toEqual([]);
});

test("rm succeeds though something that outlives the VM cannot forget it, and the rest forgets it", async () => {
  const told: string[] = [];
  await using daemon = await withWeb({
    capabilities: [
      {
        name: "forgetful",
        removed() {
          throw new BangerError("resource_exhausted", "the disk is full");
        },
      },
      { name: "after", removed: ({ id }) => void told.push(id) },
    ],
  });
  const { id } = await daemon.client.removeVm("web", { force: true });
  expect(told).toEqual([id]);
  expect(existsSync(daemon.layout.vmDir(id))).toBe(false);
  expect(await daemon.client.listVms()).toEqual([]);
});

test("a fork that fails says why, though a child of it is gone already", async () => {
  await using daemon: TestDaemon = await withWeb({
    capabilities: [
      {
        name: "saboteur",
        async preflight({ vm }) {
          if (vm.name !== "web-1") return;
          await daemon.client.removeVm("web-2", { force: true });
          throw new BangerError("unavailable", "no such luck");
        },
      },
    ],
  });
  const { message } = await refusal(daemon.client.forkVm("web", { count: 3 }), "unavailable");
  expect(message).toBe("no such luck");
  expect((await daemon.client.listVms()).map(({ name }) => name)).toEqual(["web"]);
});

test("restore takes back what the VM was made of, also where the snapshot has the default", async () => {
  await using daemon = await withWeb();
  const { client, store } = daemon;
  await client.createSnapshot("web", { name: "ready" });
  const { id, spec } = store.vms.byName("web") ?? expect.unreachable();
  store.vms.update(id, { spec: { ...spec, kernel: "another" } });
  const { spec: restored } = await client.restoreVm("web", "ready");
  expect(restored.kernel).toBeUndefined();
});
