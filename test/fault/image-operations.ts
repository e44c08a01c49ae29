/** The operations on images and kernels at whose every step the daemon is killed. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { layerTar, writeLayout } from "../../src/images/layers/testing.ts";
import { createServerOf } from "../../src/images/registry/testing.ts";
import { createVmlinux } from "../../src/images/testing.ts";
import { runProgram } from "../../src/lib/run-program.ts";
import type { Client } from "../../src/sdk/client.ts";
import type { ErrorCode } from "../../src/sdk/index.ts";
import { IMAGE, VM } from "./operation.ts";

export interface ImageOperation {
  readonly title: string;
  /** `dir` is the test's, for files to import. */
  prepare(client: Client, dir: string): Promise<unknown>;
  act(client: Client, dir: string): Promise<unknown>;
  /** Names of images and kernels once it has been repeated. */
  readonly after: readonly string[];
  /** How the repetition may say that the first attempt had got through. */
  readonly done?: ErrorCode;
}

/** An archive of an OCI image of two layers, the lower of which all have. */
async function importImage(
  client: Client,
  dir: string,
  wish: { name: string; content: string },
): Promise<void> {
  const layout = join(dir, `layout-${wish.content}`);
  const path = `${layout}.tar`;
  mkdirSync(layout, { recursive: true });
  const own = layerTar([{ path: "own", content: wish.content }]);
  await writeLayout(layout, [layerTar([{ path: "common", content: "same" }]), own]);
  await runProgram(["tar", "-C", layout, "-cf", path, "."]);
  await client.importImage({ name: wish.name, path });
}

async function importKernel(client: Client, dir: string, size: number): Promise<void> {
  const path = join(dir, `vmlinux-${size}`);
  writeFileSync(path, createVmlinux(size));
  await client.importKernel({ name: "mine", path });
}

/** A registry with the image `app:latest`, and the pull of it. */
export async function createPull(
  dir: string,
): Promise<AsyncDisposable & { readonly operation: ImageOperation }> {
  mkdirSync(join(dir, "blobs"), { recursive: true });
  await writeLayout(dir, [layerTar([{ path: "pulled", content: "pulled" }])]);
  const index = JSON.parse(readFileSync(join(dir, "index.json"), "utf8")) as {
    manifests: { digest: string; mediaType: string }[];
  };
  const [manifest] = index.manifests;
  const server = await createServerOf((request, response) => {
    const [, kind, wanted = ""] = /^\/v2\/app\/(manifests|blobs)\/([\w:]+)$/u.exec(request.url ?? "") ?? [];
    const digest = wanted === "latest" ? manifest?.digest : wanted;
    if (kind === undefined || digest === undefined) return false;
    const type = kind === "manifests" ? manifest?.mediaType : "application/octet-stream";
    response.writeHead(200, { "content-type": type, "docker-content-digest": digest });
    response.end(readFileSync(join(dir, "blobs/sha256", digest.slice(7))));
    return true;
  });
  const name = `${server.host}/app:latest`;
  return {
    operation: {
      title: "image pull",
      prepare: nothing,
      act: (client) => client.pullImage({ name }),
      after: [name, IMAGE],
    },
    [Symbol.asyncDispose]: async () => await server[Symbol.asyncDispose](),
  };
}

const nothing = async (): Promise<undefined> => undefined;

export const IMAGE_OPERATIONS: readonly ImageOperation[] = [
  {
    title: "image import",
    prepare: nothing,
    act: (client, dir) => importImage(client, dir, { name: "app", content: "one" }),
    after: ["app", IMAGE],
  },
  {
    title: "image import over another",
    prepare: (client, dir) => importImage(client, dir, { name: "app", content: "one" }),
    act: (client, dir) => importImage(client, dir, { name: "app", content: "two" }),
    after: ["app", IMAGE],
  },
  {
    title: "image tag over the last name of another",
    prepare: (client, dir) => importImage(client, dir, { name: "app", content: "one" }),
    act: (client) => client.tagImage(IMAGE, "app"),
    after: ["app", IMAGE],
  },
  {
    title: "image rm",
    prepare: (client, dir) => importImage(client, dir, { name: "app", content: "one" }),
    act: (client) => client.removeImage("app"),
    after: [IMAGE],
    done: "not_found",
  },
  {
    title: "image prune --all",
    prepare: async (client, dir) => {
      await importImage(client, dir, { name: "app", content: "one" });
      await importImage(client, dir, { name: "other", content: "two" });
      await client.createVm({ name: VM, image: "other" }, { start: false });
    },
    act: (client) => client.pruneImages({ all: true }),
    after: ["other"],
  },
  {
    title: "image commit",
    prepare: async (client, dir) => {
      await importImage(client, dir, { name: "app", content: "one" });
      await client.createVm({ name: VM, image: "app", diskMib: 64 });
      await client.stopVm(VM);
    },
    act: (client) => client.commitImage({ vm: VM, name: "made" }),
    after: ["app", IMAGE, "made"],
  },
  {
    title: "kernel import",
    prepare: nothing,
    act: (client, dir) => importKernel(client, dir, 1000),
    after: [IMAGE, "mine"],
  },
  {
    title: "kernel import over another",
    prepare: (client, dir) => importKernel(client, dir, 1000),
    act: (client, dir) => importKernel(client, dir, 2000),
    after: [IMAGE, "mine"],
  },
  {
    title: "kernel rm",
    prepare: (client, dir) => importKernel(client, dir, 1000),
    act: (client) => client.removeKernel("mine"),
    after: [IMAGE],
    done: "not_found",
  },
];
