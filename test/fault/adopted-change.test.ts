/** A change of a VM that a daemon is only just taking over from an earlier one. */
import { expect, test } from "bun:test";
import type { Capability } from "../../src/model/capability.ts";
import { createFakeDriver } from "../../src/vmm/fake/driver.ts";
import { agentProgram } from "../../src/vmm/fake/programs.ts";
import { AGENT } from "../support/agent.ts";
import { withSlowAdoption } from "../support/slow-adoption.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

/** Enough for a change that waits for nothing. */
const ROUND_TRIPS = 50;

test("set waits until a VM is taken over: no capability hears of the old record after the new one", async () => {
  const first = await createTestDaemon();
  await first.addImage("img");
  const { id } = await first.client.createVm({ name: "web", image: "img" });
  await first.crash();
  const heard: string[] = [];
  const listener: Capability = {
    name: "listener",
    reachable: async ({ spec }) => void heard.push(`reachable ${spec.network.mode}`),
    changed: async ({ after }) => void heard.push(`changed ${after.spec.network.mode}`),
  };
  const gate = Promise.withResolvers<void>();
  const fake = createFakeDriver({ program: agentProgram(AGENT) });
  await using next = await createTestDaemon({
    home: first.home,
    drivers: [withSlowAdoption(fake, gate.promise)],
    capabilities: [listener],
  });
  const changing = next.client.setVm(id, { network: { mode: "none" } });
  for (let trip = 0; trip < ROUND_TRIPS; trip += 1) await next.client.showVm(id);
  gate.resolve();
  expect((await changing).spec.network.mode).toBe("none");
  expect(heard).toEqual(["reachable public", "changed none"]);
});
