/**
 * The daemon is killed (SIGKILL) at every step of every operation on images and kernels: the next one finds a valid store, repeats
 * the operation, and nothing is left over.
 */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import type { Layout } from "../../src/host/layout.ts";
import { createTemporaryDirectory } from "../../src/images/testing.ts";
import { BangerError, type Client } from "../../src/sdk/index.ts";
import { refusal } from "../support/refusal.ts";
import { createFaultHome, type FaultHome, startDaemon } from "./daemon-process.ts";
import type { CrashPoint } from "./daemon-program.ts";
import { eachAtOnce } from "./each-at-once.ts";
import { createPull, IMAGE_OPERATIONS, type ImageOperation } from "./image-operations.ts";

const AT_ONCE = 2;
/** The suite was blind if it found fewer. */
const LEAST_POINTS = 30;

let tried = 0;

test.each(IMAGE_OPERATIONS.map((operation) => [operation.title, operation] as const))(
  "%s: killed at each of its steps, the store is valid, and the repetition leaves nothing over",
  async (_, operation) => await tryAll(operation),
);

test("image pull: killed at each of its steps, the store is valid, and the repetition leaves nothing over", async () => {
  await using dir = await createTemporaryDirectory();
  await using pull = await createPull(dir.path);
  await tryAll(pull.operation);
});

test(`the daemon was killed at no fewer than ${LEAST_POINTS} points`, () => {
  console.log(`fault suite: the daemon was killed at ${tried} points of operations on images`);
  expect(tried).toBeGreaterThanOrEqual(LEAST_POINTS);
});

async function tryAll(operation: ImageOperation): Promise<void> {
  const points = await findPoints(operation);
  expect(points.length).toBeGreaterThan(1);
  await eachAtOnce(points, AT_ONCE, async (point) => {
    await tryCrash(operation, point);
    tried += 1;
  });
}

async function findPoints(operation: ImageOperation): Promise<CrashPoint[]> {
  await using home = await createFaultHome();
  await using daemon = await startDaemon(home);
  await operation.prepare(daemon.client, home.controlDir);
  const before = daemon.steps().length;
  await operation.act(daemon.client, home.controlDir);
  const steps = daemon.steps();
  await expectDone(operation, daemon.client, home.layout);
  return steps
    .map((step, at) => ({ step, occurrence: steps.slice(0, at + 1).filter((one) => one === step).length }))
    .slice(before);
}

async function tryCrash(operation: ImageOperation, point: CrashPoint): Promise<void> {
  await using home = await createFaultHome();
  await crash(operation, point, home);
  await using daemon = await startDaemon(home);
  const { client } = daemon;
  expect(daemon.greeting).toBe("ready");
  await expectValid(client);
  try {
    await operation.act(client, home.controlDir);
  } catch (error) {
    if (BangerError.from(error).code !== operation.done) throw error;
  }
  await expectDone(operation, client, home.layout);
}

async function crash(operation: ImageOperation, point: CrashPoint, home: FaultHome): Promise<void> {
  await using daemon = await startDaemon(home, { crash: point });
  await operation.prepare(daemon.client, home.controlDir);
  await refusal(operation.act(daemon.client, home.controlDir), "unavailable");
  expect(await daemon.ended).toBe("SIGKILL");
}

/** Whatever has a name is whole, and can be used. */
async function expectValid(client: Client): Promise<void> {
  expect((await client.verifyImages()).damages).toEqual([]);
  for (const { name } of await client.listImages()) {
    expect(await client.showImage(name)).toMatchObject({ name, usable: true });
    const vm = await client.createVm({ image: name }, { start: false });
    await client.removeVm(vm.id);
  }
  for (const { name } of await client.listKernels())
    expect(await client.showKernel(name)).toMatchObject({ name });
}

async function expectDone(operation: ImageOperation, client: Client, layout: Layout): Promise<void> {
  await expectValid(client);
  const [images, kernels] = [await client.listImages(), await client.listKernels()];
  expect([...images, ...kernels].map(({ name }) => name).sort()).toEqual([...operation.after].sort());
  // It also sweeps, which the daemon does beside its first answers.
  await client.pruneImages();
  const digests = new Set(images.map(({ digest }) => digest));
  const wanted = [...digests].sort();
  expect(
    readdirSync(layout.imagesDir)
      .filter((entry) => entry !== "blobs")
      .sort(),
  ).toEqual(wanted);
  expect(list(layout.kernelsDir)).toEqual([...new Set(kernels.map(({ id }) => id))].sort());
  const shown = await Promise.all(images.map(async ({ name }) => await client.showImage(name)));
  const blobs = new Set(shown.flatMap((image) => image.blobs.map(({ digest }) => digest.slice(7))));
  expect(list(`${layout.imagesDir}/blobs/sha256`)).toEqual([...blobs].sort());
  expect(list(`${layout.imagesDir}/blobs`).filter((entry) => entry.startsWith(".tmp"))).toEqual([]);
  for (const vm of await client.listVms()) await client.removeVm(vm.id, { force: true });
}

/** A directory that is not there holds nothing. */
function list(dir: string): string[] {
  try {
    return readdirSync(dir).sort();
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
}
