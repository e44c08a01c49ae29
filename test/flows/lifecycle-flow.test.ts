/**
 * The contracts that the seed pins, through the real client, server and store with the fake driver: what create
 * reserves, what find returns, what a duplicate leaves (nothing), what delete removes, and an unknown image.
 */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, statSync } from "node:fs";
import { createServerOf } from "../../src/images/registry/testing.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

test("create with no-start, find, duplicate, delete: every contract of the seed's lifecycle flow", async () => {
  const steps: string[] = [];
  await using daemon = await createTestDaemon({ onStep: (step) => steps.push(step) });
  const { client } = daemon;
  const digest = await daemon.addImage("flow-img");

  // Create reserves a name and an address, makes the directory and persists the record as stopped.
  const created = await client.createVm({ name: "flow-vm", image: "flow-img" }, { start: false });
  expect(created.name).toBe("flow-vm");
  expect(created.imageDigest).toBe(digest);
  expect(created.state).toBe("stopped");
  expect(created.pid).toBeUndefined();
  expect(created.address).toMatch(/^172\.16\.0\.\d+$/);
  expect(statSync(created.directory).isDirectory()).toBe(true);

  // Find by id, by name and by prefix returns the same record, which is what the store holds.
  for (const ref of [created.id, "flow-vm", created.id.slice(0, 4)]) {
    expect(await client.showVm(ref)).toEqual(created);
  }
  expect(daemon.store.vms.byId(created.id)).toMatchObject({
    id: created.id,
    name: "flow-vm",
    state: "stopped",
  });

  // A duplicate name fails with a useful error and adds no row, no directory, no address.
  const duplicate = await refusal(client.createVm({ name: "flow-vm", image: "flow-img" }, { start: false }));
  expect(duplicate.code).toBe("already_exists");
  expect(duplicate.message).toContain("flow-vm");
  expect(duplicate.cure).toContain("banger rm flow-vm");
  expect(await client.listVms()).toHaveLength(1);
  expect(readdirSync(daemon.layout.vmsDir)).toEqual([created.id]);

  // Delete of a never-started VM runs clean-up with no handles, and removes row and directory.
  expect(existsSync(daemon.layout.handles(created.id))).toBe(false);
  const deleted = await client.removeVm("flow-vm");
  expect(deleted.id).toBe(created.id);
  expect(steps).toContain("cleanup:disks");
  expect(steps).toContain("cleanup:agent channel");
  expect((await refusal(client.showVm("flow-vm"))).code).toBe("not_found");
  expect((await refusal(client.showVm(created.id))).code).toBe("not_found");
  expect(existsSync(created.directory)).toBe(false);
});

test("create with an unknown image fails before any state changes", async () => {
  await using daemon = await createTestDaemon();
  await using registry = await createServerOf();
  const image = `${registry.host}/nothing-called-this-image`;
  const error = await refusal(daemon.client.createVm({ name: "ghostly", image }, { start: false }));
  expect(error.code).toBe("not_found");
  expect(error.message).toContain("nothing-called-this-image");
  expect((await refusal(daemon.client.showVm("ghostly"))).code).toBe("not_found");
  expect(daemon.store.vms.list()).toEqual([]);
  expect(readdirSync(daemon.layout.vmsDir)).toEqual([]);
});

test("fifty creates of one name at once leave exactly one row, one directory, one address", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("flow-img");
  const outcomes = await Promise.allSettled(
    Array.from({ length: 50 }, () =>
      daemon.client.createVm({ name: "contested", image: "flow-img" }, { start: false }),
    ),
  );
  const won = outcomes.filter((outcome) => outcome.status === "fulfilled");
  const lost = outcomes.filter((outcome) => outcome.status === "rejected");
  expect(won).toHaveLength(1);
  expect(new Set(lost.map((outcome) => (outcome.reason as { code?: string }).code))).toEqual(
    new Set(["already_exists"]),
  );
  const [row, ...others] = daemon.store.vms.list();
  expect(others).toEqual([]);
  expect(row?.address).toBe("172.16.0.2");
  expect(readdirSync(daemon.layout.vmsDir)).toEqual([row?.id ?? "no row"]);
  // The next address shows that the losers kept none.
  const next = await daemon.client.createVm({ name: "next", image: "flow-img" }, { start: false });
  expect(next.address).toBe("172.16.0.3");
});

test("creates and deletes of many names at once never share an address and leave nothing", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("flow-img");
  const names = Array.from({ length: 40 }, (_, index) => `vm-${index}`);
  const created = await Promise.all(
    names.map((name) => daemon.client.createVm({ name, image: "flow-img" }, { start: false })),
  );
  expect(new Set(created.map((vm) => vm.address)).size).toBe(names.length);
  await Promise.all(names.map((name) => daemon.client.removeVm(name)));
  expect(await daemon.client.listVms()).toEqual([]);
  expect(readdirSync(daemon.layout.vmsDir)).toEqual([]);
});

test("an image that is registered locally is found by name, and the catalog is not asked", async () => {
  await using daemon = await createTestDaemon();
  // `debian` is in the catalog: building it would take half a minute and need the network.
  const digest = await daemon.addImage("debian");
  const created = await daemon.client.createVm({ name: "local" }, { start: false });
  expect(created.imageDigest).toBe(digest);
  expect(created.spec.image).toBe("debian");
});
