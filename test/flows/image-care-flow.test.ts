/** Showing, tagging, pruning and verifying images: real client, server and store, images from archives on disk. */
import { expect, test } from "bun:test";
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { type LayerEntry, layerTar, writeLayout } from "../../src/images/layers/testing.ts";
import { createTemporaryDirectory } from "../../src/images/testing.ts";
import { runProgram } from "../../src/lib/run-program.ts";
import type { Client } from "../../src/sdk/client.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

/** Imports an OCI image of one layer, and returns its digest. */
async function importOci(client: Client, dir: string, name: string, entry: LayerEntry): Promise<string> {
  const layout = join(dir, `layout-${name}`);
  await rm(layout, { recursive: true, force: true });
  await mkdir(layout);
  await writeLayout(layout, [layerTar([{ path: "common", content: "same" }]), layerTar([entry])]);
  const path = join(dir, `${name}.tar`);
  await runProgram(["tar", "-C", layout, "-cf", path, "."]);
  return (await client.importImage({ name, path })).digest;
}

test("image show tells names, configuration, blobs and users; image tag moves a name", async () => {
  await using dir = await createTemporaryDirectory();
  await using daemon = await createTestDaemon();
  const { client } = daemon;
  const digest = await importOci(client, dir.path, "app", { path: "a" });
  expect(await client.tagImage("app", "app:stable")).toMatchObject({ name: "app:stable", digest });
  await client.createVm({ name: "web", image: "app:stable" }, { start: false });
  const shown = await client.showImage("app");
  expect(shown).toMatchObject({ digest, names: ["app", "app:stable"], vms: ["web"], usable: true });
  expect(shown.manifestDigest).toStartWith("sha256:");
  expect(shown.blobs).toHaveLength(4);
  expect(shown.blobs.every((blob) => blob.sizeBytes > 0)).toBe(true);

  // The name moves to other content, whose last name it was.
  const other = await importOci(client, dir.path, "other", { path: "b" });
  await client.tagImage("app", "other");
  expect((await client.listImages()).every((image) => image.digest === digest)).toBe(true);
  expect(readdirSync(daemon.layout.imagesDir)).not.toContain(other);
  expect((await refusal(client.tagImage("nobody", "x"), "not_found")).message).toContain("nobody");
  expect((await refusal(client.showImage("nobody"), "not_found")).cure).toContain("image ls");
});

test("image prune frees by reference, says why the rest stays, and only says it with dryRun", async () => {
  await using dir = await createTemporaryDirectory();
  await using daemon = await createTestDaemon();
  const { client, layout } = daemon;
  const used = await importOci(client, dir.path, "used", { path: "a" });
  const named = await importOci(client, dir.path, "named", { path: "b" });
  await client.createVm({ name: "web", image: "used" }, { start: false });
  // A pull that was cut leaves these.
  await mkdir(join(layout.imagesDir, "blobs", "partial"), { recursive: true });
  writeFileSync(join(layout.imagesDir, "blobs", "partial", "sha256-ab"), "begun");

  const fates = async (wish: { all?: boolean; dryRun?: boolean }): Promise<string[]> =>
    (await client.pruneImages(wish))
      .map(({ kind, names, removed, reason }) => `${kind} ${names.join()} ${removed} ${reason}`)
      .sort();
  const blob = "blob  true no image is made of it";
  const all = [
    // Manifest, configuration and layer that are its own; the common layer is also the other's.
    blob,
    blob,
    blob,
    "download  true no image is made of it",
    "image named true no VM uses it",
    "image used false used by web",
  ];
  expect(await fates({ all: true, dryRun: true })).toEqual(all);
  expect(await client.listImages()).toHaveLength(2);
  expect(await fates({})).toEqual([
    "download  true no image is made of it",
    "image named false it has a name; with --all it goes too",
    "image used false used by web",
  ]);
  expect(await fates({ all: true })).toEqual(all.filter((fate) => !fate.startsWith("download")));
  expect((await client.listImages()).map((image) => image.digest)).toEqual([used]);
  expect(readdirSync(layout.imagesDir)).not.toContain(named);
  expect(await client.verifyImages()).toEqual({ checked: 5, damages: [] });
});

test("image verify finds a damaged root file system and a damaged blob; making the image again repairs both", async () => {
  await using dir = await createTemporaryDirectory();
  await using daemon = await createTestDaemon();
  const { client, layout } = daemon;
  const digest = await importOci(client, dir.path, "app", { path: "a" });
  await client.createVm({ name: "web", image: "app" }, { start: false });
  expect(await client.verifyImages()).toEqual({ checked: 5, damages: [] });

  const rootfs = join(layout.imagesDir, digest, "rootfs.squashfs");
  const bytes = readFileSync(rootfs);
  bytes[200] = (bytes[200] ?? 0) ^ 1;
  writeFileSync(rootfs, bytes);
  const { blobs } = await client.showImage("app");
  const layer = blobs.at(-1)?.digest ?? "";
  writeFileSync(join(layout.imagesDir, "blobs", layer.replace(":", "/")), "other bytes");
  const { damages } = await client.verifyImages();
  expect(damages).toMatchObject([
    { kind: "image", id: digest, names: ["app"], vms: ["web"] },
    { kind: "blob", id: layer, names: ["app"], vms: [] },
  ]);
  expect(damages[0]?.cure).toContain("banger image import app");
  expect(await client.showImage("app")).toMatchObject({ usable: false });
  const refused = await refusal(client.startVm("web"), "failed_precondition");
  expect(refused.message).toContain("is damaged");
  // It stays told until it is repaired.
  expect((await client.verifyImages()).damages).toHaveLength(2);

  expect(await importOci(client, dir.path, "app", { path: "a" })).toBe(digest);
  expect(await client.verifyImages()).toEqual({ checked: 5, damages: [] });
  expect(await client.startVm("web")).toMatchObject({ state: "running" });
});

test("image verify tells a description that cannot be read and content that is gone, and other images stay usable", async () => {
  await using dir = await createTemporaryDirectory();
  await using daemon = await createTestDaemon();
  const { client, layout } = daemon;
  const bad = await importOci(client, dir.path, "bad", { path: "a" });
  await importOci(client, dir.path, "good", { path: "b" });
  writeFileSync(join(layout.imagesDir, bad, "image.json"), "{");
  const { damages } = await client.verifyImages();
  expect(damages.filter(({ kind }) => kind === "image")).toMatchObject([{ id: bad, names: ["bad"] }]);
  expect(await client.createVm({ name: "web", image: "good" })).toMatchObject({ state: "running" });
  expect(await importOci(client, dir.path, "bad", { path: "a" })).toBe(bad);
  expect((await client.verifyImages()).damages).toEqual([]);
});

test.each([
  ["root file system", "rootfs.squashfs", "its root file system is gone"],
  ["directory", "", "all of it is gone"],
])(
  "an image whose %s is deleted: the next start says so, also of one that has started before, and image verify tells",
  async (_, name, problem) => {
    await using dir = await createTemporaryDirectory();
    await using daemon = await createTestDaemon();
    const { client, layout } = daemon;
    const digest = await importOci(client, dir.path, "app", { path: "a" });
    await client.createVm({ name: "web", image: "app" });
    await client.stopVm("web");
    await rm(join(layout.imagesDir, digest, name), { recursive: true });
    const refused = await refusal(client.startVm("web"), "failed_precondition");
    expect(refused.message).toBe(`the content of the image app (${digest.slice(0, 12)}) is gone`);
    expect(refused.cure).toContain("banger image import app");
    const { damages } = await client.verifyImages();
    expect(damages.filter(({ kind }) => kind === "image")).toMatchObject([
      { id: digest, problem, names: ["app"], vms: ["web"] },
    ]);
    expect(await importOci(client, dir.path, "app", { path: "a" })).toBe(digest);
    expect((await client.verifyImages()).damages).toEqual([]);
    expect(await client.startVm("web")).toMatchObject({ state: "running" });
  },
);
