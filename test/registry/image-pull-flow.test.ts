/** An image on its way from a real registry through daemon and client, and what is left of it afterwards. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import type { ProgressLine } from "../../src/api/types/progress.ts";
import { createServerOf } from "../../src/images/registry/testing.ts";
import { createTemporaryDirectory, type TemporaryDirectory } from "../../src/images/testing.ts";
import {
  createUmociImage,
  type DockerRegistry,
  pushImage,
  startDockerRegistry,
} from "../support/docker-registry.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";

let shared: TemporaryDirectory;
let registry: DockerRegistry;

beforeAll(async () => {
  shared = await createTemporaryDirectory();
  registry = await startDockerRegistry(join(shared.path, "registry"));
  const source = await createUmociImage(shared.path);
  for (const name of ["app", "app:copy"])
    await pushImage(source, `${registry.host}/team/${name}`, "--dest-tls-verify=false");
});

afterAll(async () => {
  await registry[Symbol.asyncDispose]();
  await shared[Symbol.asyncDispose]();
});

/** Files below the images directory, without those that lie about the time of their making. */
async function filesOf({ layout }: TestDaemon): Promise<string[]> {
  const entries = await readdir(layout.imagesDir, { recursive: true, withFileTypes: true });
  return entries.flatMap((entry) => (entry.isFile() ? [entry.name] : [])).sort();
}

describe("image pull", () => {
  test("fetches a reference, makes an image of it, and VMs of that", async () => {
    await using daemon = await createTestDaemon();
    const lines: ProgressLine[] = [];
    const name = `${registry.host}/team/app`;
    const image = await daemon.client.pullImage({ name }, { onProgress: (line) => lines.push(line) });
    expect(image.name).toBe(`${name}:latest`);
    expect(image.source).toBe(`registry ${name}:latest`);
    const layers = lines.flatMap((line) => (line.event === "layer" ? [line] : []));
    expect(new Set(layers.map((line) => line.digest)).size).toBe(2);
    expect(lines.filter((line) => line.event === "layer" && line.doneBytes === line.totalBytes).length).toBe(
      2,
    );
    // The name as it was written and the whole reference are the same image; nobody is asked again.
    const asked = registry.log().length;
    const vm = await daemon.client.createVm({ name: "box", image: name }, { start: false });
    expect(vm.imageDigest).toBe(image.digest);
    expect(registry.log().length).toBe(asked);
    const used = await refusal(daemon.client.removeImage(name));
    expect(used.code).toBe("failed_precondition");
    await daemon.client.removeVm("box");
    await daemon.client.removeImage(name);
    expect(await filesOf(daemon)).toEqual([]);
    expect(await daemon.client.listImages()).toEqual([]);
  });

  test("makes one image of two names for the same manifest, and keeps it until the last is gone", async () => {
    await using daemon = await createTestDaemon();
    const [one, two] = await Promise.all(
      ["app", "app:copy"].map(
        async (name) => await daemon.client.pullImage({ name: `${registry.host}/team/${name}` }),
      ),
    );
    expect(one?.digest).toBe(String(two?.digest));
    await daemon.client.removeImage(String(one?.name));
    expect((await filesOf(daemon)).length).toBeGreaterThan(4);
    await daemon.client.removeImage(String(two?.name));
    expect(await filesOf(daemon)).toEqual([]);
  });

  test("refuses a platform that cannot run here, before anything is fetched", async () => {
    await using daemon = await createTestDaemon();
    const asked = registry.log().length;
    for (const name of [`${registry.host}/team/app`, "debian"]) {
      const error = await refusal(daemon.client.pullImage({ name, platform: "linux/s390x" }));
      expect([error.code, error.message]).toEqual([
        "unsupported",
        expect.stringContaining("linux/s390x, which cannot run here"),
      ]);
    }
    expect(registry.log().length).toBe(asked);
  });

  test("says that there is no such image, and leaves nothing", async () => {
    await using daemon = await createTestDaemon();
    await using empty = await createServerOf();
    for (const name of [`${registry.host}/team/none`, `${empty.host}/a`]) {
      expect((await refusal(daemon.client.pullImage({ name }))).code).toBe("not_found");
    }
    expect((await refusal(daemon.client.pullImage({ name: "a//b" }))).code).toBe("invalid_argument");
    expect(await daemon.client.listImages()).toEqual([]);
    expect(await readdir(daemon.layout.imagesDir).catch(() => [])).toEqual([]);
  });
});
