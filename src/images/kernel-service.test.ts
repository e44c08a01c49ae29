import { describe, expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { mkdir, readdir, readFile, stat, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import type { LongOptions } from "../model/boot.ts";
import { openStore, type Store } from "../store/store.ts";
import { KernelService, type KernelServiceOptions } from "./kernel-service.ts";
import { publishKernel } from "./kernel-store.ts";
import {
  createBzImage,
  createModule,
  createTemporaryDirectory,
  createVmlinux,
  failureOf,
} from "./testing.ts";

const WANTED = [
  "virtio_pci",
  "virtio_mmio",
  "virtio_blk",
  "virtio_console",
  "virtio_net",
  "squashfs",
  "overlay",
];
const QUIET: LongOptions = { onProgress: () => undefined, signal: new AbortController().signal };
const NO_CHOICE = { kernel: undefined, imageDigest: "a".repeat(64) };

interface Place extends AsyncDisposable {
  readonly path: string;
  readonly store: Store;
  readonly service: KernelService;
}

async function createPlace(options: Partial<KernelServiceOptions> = {}): Promise<Place> {
  const dir = await createTemporaryDirectory();
  const store = openStore(join(dir.path, "state.db"));
  const service = new KernelService({
    store,
    kernelsDir: join(dir.path, "kernels"),
    cacheDir: join(dir.path, "cache"),
    agentPath: join(dir.path, "agent"),
    rootfsOf: async () => join(dir.path, "rootfs.squashfs"),
    host: { root: join(dir.path, "host"), release: "6.9-test" },
    ...options,
  });
  return {
    path: dir.path,
    store,
    service,
    async [Symbol.asyncDispose]() {
      store[Symbol.dispose]();
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** A root directory with a kernel and its modules, two of them built in. */
async function writeTree(root: string, release: string): Promise<void> {
  const modules = join(root, "usr/lib/modules", release);
  await mkdir(join(modules, "kernel/drivers"), { recursive: true });
  await mkdir(join(root, "boot"), { recursive: true });
  await symlink("usr/lib", join(root, "lib"));
  const vmlinux = createVmlinux();
  await writeFile(join(root, "boot", `vmlinuz-${release}`), createBzImage(gzipSync(vmlinux)));
  for (const name of WANTED) await writeFile(join(modules, "kernel/drivers", `${name}.ko`), createModule(""));
  const builtin = "kernel/drivers/virtio-rng.ko\nkernel/net/vmw_vsock_virtio_transport.ko\n";
  await writeFile(join(modules, "modules.builtin"), builtin);
}

describe("KernelService", () => {
  test("builds the default kernel once, and an initramfs once for each agent", async () => {
    let builds = 0;
    await using place = await createPlace({
      buildDebian: async (kernelsDir) => {
        builds += 1;
        const modules = [{ name: "virtio-rng", bytes: Buffer.from("module") }];
        return await publishKernel(kernelsDir, {
          release: "6.1",
          source: "debian linux-image-6.1",
          vmlinux: createVmlinux(),
          modules,
        });
      },
    });
    const { service, path } = place;
    const [kernel, same] = await Promise.all([
      service.ensure(NO_CHOICE, QUIET),
      service.ensure(NO_CHOICE, QUIET),
    ]);
    expect(same).toEqual(kernel);
    expect(await service.ensure({ ...NO_CHOICE, kernel: "debian" }, QUIET)).toEqual(kernel);
    expect(builds).toBe(1);
    expect(await service.list()).toMatchObject([{ name: "debian", users: [] }]);

    expect((await failureOf(service.bootFiles(NO_CHOICE, QUIET))).code).toBe("unavailable");
    await writeFile(join(path, "agent"), "agent one");
    const first = await service.bootFiles(NO_CHOICE, QUIET);
    const made = await stat(first.initramfsPath);
    expect(await service.bootFiles(NO_CHOICE, QUIET)).toEqual(first);
    expect((await stat(first.initramfsPath)).ino).toBe(made.ino);
    const text = await readFile(first.initramfsPath, "latin1");
    expect(text).toContain("agent one");
    expect(text).toContain("/modules/virtio-rng.ko\n");
    await writeFile(join(path, "agent"), "agent two");
    expect((await service.bootFiles(NO_CHOICE, QUIET)).initramfsPath).not.toBe(first.initramfsPath);
  });

  test("takes over the host's kernel when it is asked for, with modules in load order", async () => {
    await using place = await createPlace();
    const { service, path } = place;
    await writeTree(join(path, "host"), "6.9-test");
    const kernel = await service.ensure({ ...NO_CHOICE, kernel: "host" }, QUIET);
    expect(kernel).toMatchObject({ release: "6.9-test", source: "host" });
    expect(kernel.modules.map((file) => file.split("/").at(-1))).toEqual(WANTED.map((name) => `${name}.ko`));
    expect(createVmlinux().equals(await readFile(kernel.vmlinuxPath))).toBe(true);
    expect(await service.verify({})).toEqual({ checked: 1, damages: [] });
  });

  test("takes over the newest kernel inside an image, and forgets it when no VM boots it", async () => {
    await using place = await createPlace();
    const { service, path, store } = place;
    const root = join(path, "root");
    await writeTree(root, "6.10-new");
    await writeFile(join(root, "boot/vmlinuz-6.9-old"), "not looked at");
    // What an image may try: a kernel that is a link out of it.
    await symlink("/etc/passwd", join(root, "boot/vmlinuz-9-evil"));
    const built = Bun.spawnSync([
      "mksquashfs",
      root,
      join(path, "rootfs.squashfs"),
      "-quiet",
      "-no-progress",
    ]);
    expect(built.exitCode).toBe(0);
    const kernel = await service.ensure({ ...NO_CHOICE, kernel: "image" }, QUIET);
    expect(kernel).toMatchObject({ release: "6.10-new", source: `image ${"a".repeat(12)}` });
    expect(store.kernels.list().map(({ name }) => name)).toEqual([`image-${"a".repeat(12)}`]);
    expect(await service.ensure({ ...NO_CHOICE, kernel: "image" }, QUIET)).toEqual(kernel);
    await service.sweep();
    expect(await service.list()).toEqual([]);
    expect(await readdir(join(path, "kernels"))).toEqual([]);
  });

  test("refuses an image without a kernel, and leaves nothing", async () => {
    await using place = await createPlace();
    const { service, path } = place;
    await mkdir(join(path, "root/etc"), { recursive: true });
    Bun.spawnSync([
      "mksquashfs",
      join(path, "root"),
      join(path, "rootfs.squashfs"),
      "-quiet",
      "-no-progress",
    ]);
    const error = await failureOf(service.ensure({ ...NO_CHOICE, kernel: "image" }, QUIET));
    expect(error.code).toBe("failed_precondition");
    expect(await readdir(join(path, "kernels"))).toEqual([]);
  });

  test("imports files by their checksum, and nothing of a file that is none or torn", async () => {
    await using place = await createPlace();
    const { service, path } = place;
    const file = join(path, "vmlinuz");
    const bytes = createBzImage(gzipSync(createVmlinux()));
    await writeFile(file, bytes);
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const wrong = await failureOf(service.importFiles("mine", { path: file, sha256: "0".repeat(64) }, QUIET));
    expect(wrong.message).toContain(sha256);
    expect((await service.importFiles("mine", { path: file, sha256 }, QUIET)).kernel.modules).toEqual([]);

    await writeFile(file, bytes.subarray(0, bytes.length - 2000));
    expect((await failureOf(service.importFiles("torn", { path: file }, QUIET))).code).toBe(
      "invalid_argument",
    );
    await writeFile(file, "#!/bin/sh\n");
    expect((await failureOf(service.importFiles("torn", { path: file }, QUIET))).code).toBe(
      "invalid_argument",
    );
    const missing = join(path, "missing");
    expect((await failureOf(service.importFiles("torn", { path: missing }, QUIET))).code).toBe("not_found");
    expect((await failureOf(service.importFiles("image", { path: file }, QUIET))).message).toContain(
      "inside of",
    );
    expect((await service.list()).map(({ name }) => name)).toEqual(["mine"]);
    expect(await readdir(join(path, "kernels"))).toHaveLength(1);
  });

  test("a name that moves takes its old kernel with it; a damaged kernel is found", async () => {
    await using place = await createPlace();
    const { service, path } = place;
    const file = join(path, "vmlinux");
    await writeFile(file, createVmlinux(1000));
    await service.importFiles("mine", { path: file }, QUIET);
    await service.importFiles("other", { path: file }, QUIET);
    await writeFile(file, createVmlinux(2000));
    const { kernel } = await service.importFiles("mine", { path: file }, QUIET);
    expect(await readdir(join(path, "kernels"))).toHaveLength(2);
    await service.remove("other");
    expect(await readdir(join(path, "kernels"))).toEqual([kernel.id]);
    expect((await failureOf(service.remove("other"))).code).toBe("not_found");
    await writeFile(kernel.vmlinuxPath, "x");
    expect((await service.verify({})).damages).toMatchObject([{ kind: "kernel", id: kernel.id }]);
  });
});

test("list() tells of a kernel whose description is damaged beside the others, and sweep() goes on", async () => {
  await using place = await createPlace();
  const kernelsDir = join(place.path, "kernels");
  const publish = async (name: string): Promise<string> => {
    const parts = { release: name, source: "test", vmlinux: Buffer.from(name), modules: [] };
    const { id } = await publishKernel(kernelsDir, parts);
    place.store.kernels.upsert({ name, id, createdAt: 1 });
    return id;
  };
  const [good, bad] = [await publish("good"), await publish("bad")];
  await writeFile(join(kernelsDir, bad, "kernel.json"), "{");
  const listed = await place.service.list();
  expect(Object.fromEntries(listed.map(({ name, problem }) => [name, problem !== undefined]))).toEqual({
    good: false,
    bad: true,
  });
  expect(listed.find(({ name }) => name === "bad")?.problem).toContain(`rm -r ${join(kernelsDir, bad)}`);
  await place.service.remove("bad");
  await place.service.sweep();
  expect(await readdir(kernelsDir)).toEqual([good]);
});
