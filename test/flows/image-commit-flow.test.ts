/** Images made of VMs: real client, server and store; the fake hypervisor, and what a guest would have written put into its disk. */
import { expect, test } from "bun:test";
import { readdirSync, writeFileSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { layerTar, writeLayout } from "../../src/images/layers/testing.ts";
import { createTemporaryDirectory } from "../../src/images/testing.ts";
import { findProgram, runProgram } from "../../src/lib/run-program.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

/** Writes into the disk of a VM that does not run. */
async function write(disk: string, commands: readonly string[]): Promise<void> {
  await runProgram(["debugfs", "-w", "-f", "-", disk], {
    stdin: (async function* () {
      yield Buffer.from(`${commands.join("\n")}\n`);
    })(),
  });
}

async function contentsOf(rootfs: string, path: string): Promise<string> {
  return Buffer.from((await runProgram(["unsquashfs", "-cat", rootfs, path])).stdout).toString();
}

test("image commit adds what a VM wrote to its image as a layer, and the result is exported and imported again", async () => {
  await using dir = await createTemporaryDirectory();
  await using daemon = await createTestDaemon();
  const { client, layout } = daemon;
  const source = join(dir.path, "layout");
  await mkdir(source);
  await writeLayout(source, [
    layerTar([{ path: "kept", content: "kept" }, { path: "gone" }, { path: "etc/x" }]),
  ]);
  const archive = join(dir.path, "app.tar");
  await runProgram(["tar", "-C", source, "-cf", archive, "."]);
  await client.importImage({ name: "app", path: archive });
  const vm = await client.createVm({ name: "web", image: "app", diskMib: 64 }, { start: false });
  const unborn = await refusal(client.commitImage({ vm: "web", name: "new" }), "failed_precondition");
  expect(unborn.cure).toContain("banger image tag app");

  await client.startVm("web");
  await client.stopVm("web");
  writeFileSync(join(dir.path, "content"), "written in the VM");
  await write(layout.disk(vm.id), [
    "mkdir upper",
    "cd upper",
    `write ${join(dir.path, "content")} written`,
    "mknod gone c 0 0",
  ]);
  const committed = await client.commitImage({ vm: "web", name: "new" });
  expect(committed).toMatchObject({ name: "new", source: "commit web" });
  const shown = await client.showImage("new");
  expect(shown.blobs).toHaveLength(4);
  const rootfs = join(layout.imagesDir, committed.digest, "rootfs.squashfs");
  expect(await contentsOf(rootfs, "written")).toBe("written in the VM");
  expect(await contentsOf(rootfs, "kept")).toBe("kept");
  const listing = Buffer.from((await runProgram(["unsquashfs", "-l", rootfs])).stdout).toString();
  expect(listing).not.toContain("gone");
  expect(await client.verifyImages()).toMatchObject({ damages: [] });

  const parts: Uint8Array[] = [];
  for await (const part of await client.exportImage("new")) parts.push(part);
  const exported = join(dir.path, "new.tar");
  writeFileSync(exported, Buffer.concat(parts));
  expect((await client.importImage({ name: "copy", path: exported })).digest).toBe(committed.digest);
  expect(await client.createVm({ name: "next", image: "new" })).toMatchObject({ state: "running" });
  expect(readdirSync(layout.imagesDir).filter((name) => name.startsWith(".tmp"))).toEqual([]);
});

test("image commit takes a running VM without stopping it, and a paused one, which stays paused", async () => {
  await using daemon = await createTestDaemon();
  const { client, layout } = daemon;
  await using dir = await createTemporaryDirectory();
  const path = join(dir.path, "root.tar");
  writeFileSync(path, layerTar([{ path: "base", content: "base" }]));
  await client.importImage({ name: "files", path });
  const vm = await client.createVm({ name: "web", image: "files", diskMib: 64 });
  await write(layout.disk(vm.id), ["mkdir upper", "cd upper", `write ${import.meta.path} written`]);
  for (const state of ["running", "paused"] as const) {
    if (state === "paused") await client.pauseVm("web");
    const { digest } = await client.commitImage({ vm: "web", name: state });
    expect(await client.showVm("web")).toMatchObject({ state });
    const rootfs = join(layout.imagesDir, digest, "rootfs.squashfs");
    expect(await contentsOf(rootfs, "written")).toContain("stays paused");
  }
});

test.skipIf(findProgram("sqfs2tar") === undefined)(
  "image commit makes the first layer of an image that came as no OCI image",
  async () => {
    await using dir = await createTemporaryDirectory();
    await using daemon = await createTestDaemon();
    const { client, layout } = daemon;
    const path = join(dir.path, "root.tar");
    writeFileSync(path, layerTar([{ path: "base", content: "base", uid: 70_000 }]));
    await client.importImage({ name: "files", path });
    await client.createVm({ name: "web", image: "files", diskMib: 64 });
    await client.stopVm("web");
    const { digest } = await client.commitImage({ vm: "web", name: "new" });
    expect((await client.showImage("new")).manifestDigest).toStartWith("sha256:");
    expect(await contentsOf(join(layout.imagesDir, digest, "rootfs.squashfs"), "base")).toBe("base");
  },
);
