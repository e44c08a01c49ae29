/** A workspace goes along with its VM: into forks, and into VMs that are made from snapshots. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import type { Client } from "../../src/sdk/client.ts";
import { refusal } from "../support/refusal.ts";
import { createRepository, git, put } from "../support/repositories.ts";
import { createWorkspaceDaemon, type WorkspaceDaemon } from "../support/workspace-daemon.ts";

async function createWorld(): Promise<WorkspaceDaemon> {
  const world = await createWorkspaceDaemon();
  createRepository(world.at("repo"), { "a.txt": "one\n", "b.txt": "b\n" });
  await world.bring();
  put(world.at("guest"), { "a.txt": "of the guest\n", "new.txt": "new\n" });
  return world;
}

async function patchOf(client: Client, vm: string): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of await client.exportWorkspace(vm)) pieces.push(piece);
  return Buffer.concat(pieces).toString();
}

test("the workspace of a VM is that of its forks, with all that can be done with it", async () => {
  await using world = await createWorld();
  const { client } = world.daemon;
  const patch = (await world.patch()).toString();
  expect(patch).toContain("+of the guest\n");
  const { vms } = await client.forkVm("web", { count: 2, prefix: "try" });
  for (const { id, name } of vms) {
    expect(await client.showWorkspace(name)).toEqual({ ...(await client.showWorkspace("web")), vm: id });
    expect(await patchOf(client, name)).toBe(patch);
  }
  // What is sent to one of them is not known of the others.
  put(world.at("repo"), { "b.txt": "newer\n" });
  expect(await client.syncWorkspace("try-1")).toMatchObject({ files: 1 });
  expect(await client.syncWorkspace("try-1")).toMatchObject({ files: 0 });
  git(world.at("guest"), "commit", "-q", "-a", "-m", "in the guest");
  expect(await client.pullWorkspace("try-2")).toMatchObject({ branch: "banger/try-2", commits: 1 });
});

test("a snapshot keeps the workspace, though the VM has gone; of a machine and of a disk", async () => {
  await using world = await createWorld();
  const { client } = world.daemon;
  const patch = (await world.patch()).toString();
  const before = await client.showWorkspace("web");
  await client.createSnapshot("web", { name: "machine" });
  await client.createSnapshot("web", { name: "disk", diskOnly: true });
  await client.removeVm("web", { force: true });
  for (const snapshot of ["machine", "disk"]) {
    const vm = await client.createVm({ name: `of-${snapshot}`, snapshot }, { start: false });
    expect(await client.showWorkspace(vm.name)).toEqual({ ...before, vm: vm.id });
    await client.startVm(vm.name);
    expect(await patchOf(client, vm.name)).toBe(patch);
  }
});

test("a VM without a workspace has forks and snapshots without one", async () => {
  await using world = await createWorkspaceDaemon();
  const { client } = world.daemon;
  await client.forkVm("web", { count: 1, prefix: "try" });
  await client.createSnapshot("web", { name: "saved" });
  await client.createVm({ name: "twin", snapshot: "saved" });
  for (const vm of ["try-1", "twin"]) await refusal(client.showWorkspace(vm), "failed_precondition");
});

test("restore takes the workspace back to what it was, or to none", async () => {
  await using world = await createWorkspaceDaemon();
  const { client } = world.daemon;
  await client.createSnapshot("web", { name: "before" });
  createRepository(world.at("repo"), { "a.txt": "one\n" });
  await world.bring();
  const arrived = await client.showWorkspace("web");
  await client.createSnapshot("web", { name: "with" });
  put(world.at("repo"), { "a.txt": "two\n" });
  git(world.at("repo"), "commit", "-q", "-a", "-m", "second");
  expect(await client.syncWorkspace("web")).toMatchObject({ files: 1 });
  expect(await client.showWorkspace("web")).not.toEqual(arrived);
  await client.restoreVm("web", "with");
  expect(await client.showWorkspace("web")).toEqual(arrived);
  // The guest's files are this host's, and no disk took them back.
  put(world.at("guest"), { "a.txt": "one\n" });
  expect(await client.syncWorkspace("web", { force: true })).toMatchObject({ files: 1 });
  await client.restoreVm("web", "before");
  await refusal(client.showWorkspace("web"), "failed_precondition");
  await client.restoreVm("web", "with");
  expect(await client.showWorkspace("web")).toEqual(arrived);
});

test("a snapshot whose workspace is damaged makes no VM, and leaves nothing", async () => {
  await using world = await createWorld();
  const { client, layout } = world.daemon;
  const { id } = await client.createSnapshot("web", { name: "saved" });
  const file = `${layout.snapshotsDir}/${id}/workspace`;
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(200) ^ 1, 200);
  writeFileSync(file, bytes);
  const before = readdirSync(layout.vmsDir);
  await refusal(client.createVm({ name: "twin", snapshot: "saved" }), "failed_precondition");
  expect(readdirSync(layout.vmsDir)).toEqual(before);
  expect((await client.listVms()).map(({ name }) => name)).toEqual(["web"]);
});
