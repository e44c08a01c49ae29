/** `network down` with VMs, with the clones of a warm pool, and with nobody. */
import { test as anyTest, expect } from "bun:test";
import { findAvailability } from "../../src/network/availability.ts";
import { hypervisorsOf } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

const available = findAvailability();
if (available.kind === "none") console.warn(`skipped: a network for guests: ${available.why}`);
const test = anyTest.skipIf(available.kind === "none");

const TOML = '[vm_defaults]\nvcpus = 1\nmemory = "128M"\ndisk = "64M"\n[warm_pool]\nimg = 1\n';

test("network down names the VMs that use it, and ends clones that wait, which come back", async () => {
  await using daemon = await createTestDaemon({
    templates: true,
    toml: TOML,
    driver: { features: { nics: true } },
  });
  const { client, home } = daemon;
  const settle = async (): Promise<void> => {
    await daemon.templates.settled();
    await daemon.vms.pool.settled();
  };
  await daemon.addImage("img");
  await client.createVm({ name: "web", image: "img" });
  await settle();
  expect(hypervisorsOf(home)).toHaveLength(2);
  const { code, message, cure } = await refusal(client.takeNetworkDown());
  expect([code, message, cure]).toEqual([
    "failed_precondition",
    "the network is used by web",
    "stop them first with: banger stop web",
  ]);
  expect(hypervisorsOf(home)).toHaveLength(2);
  await client.removeVm("web", { force: true });
  await settle();
  expect(await client.takeNetworkDown()).toEqual({ removed: true });
  expect(hypervisorsOf(home)).toEqual([]);
  expect(await client.takeNetworkDown()).toEqual({ removed: false });
  await client.createVm({ name: "again", image: "img" });
  await settle();
  expect(hypervisorsOf(home)).toHaveLength(2);
});
