/** The daemon is killed at every step of operations on VMs that are on the network; the next one leaves no rule, tap, namespace or process. */
import { test as anyTest, expect } from "bun:test";
import type { Client } from "../../src/sdk/client.ts";
import { createOwnHost, hostState } from "../network/own-host.ts";
import { NO_WORLD } from "../network/world.ts";
import { findCrashPoints, tryCrash } from "./crash-points.ts";
import { type FaultOperation, IMAGE, VM } from "./operation.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

/** Crash points tried so far. */
let tried = 0;
/** The suite was blind if it found fewer. */
const LEAST_POINTS = 30;

const WISH = { name: VM, image: IMAGE, diskMib: 64 };
const running = async (client: Client): Promise<unknown> => await client.createVm(WISH);

const OPERATIONS: readonly FaultOperation[] = [
  {
    title: "start on the network",
    nics: true,
    prepare: async (client) => await client.createVm(WISH, { start: false }),
    act: async (client) => await client.startVm(VM),
    between: ["stopped", "running"],
    after: "running",
  },
  {
    title: "another policy",
    nics: true,
    prepare: running,
    act: async (client) =>
      await client.setVm(VM, { network: { mode: "allow", allow: ["203.0.113.0/24:80"] } }),
    between: ["running"],
    after: "running",
  },
  {
    title: "fork on the network",
    nics: true,
    prepare: running,
    act: async (client) => await client.forkVm(VM, { count: 1 }),
    between: ["running"],
    after: "running",
  },
  {
    title: "stop on the network",
    nics: true,
    prepare: running,
    act: async (client) => await client.stopVm(VM),
    between: ["running", "stopped"],
    after: "stopped",
  },
  {
    title: "rm -f on the network",
    nics: true,
    prepare: running,
    act: async (client) => await client.removeVm(VM, { force: true }),
    between: ["running", "stopped", "absent"],
    after: "absent",
    done: "not_found",
  },
];

test.each(OPERATIONS.map((operation) => [operation.title, operation] as const))(
  "%s: killed at each of its steps, nothing of the network leaks, and it can be repeated",
  async (_, operation) => {
    await using _host = await createOwnHost({ nameservers: [] });
    const before = await hostState();
    const points = await findCrashPoints(operation);
    expect(points.some(({ step }) => step.startsWith("network:") || step === "set:network")).toBe(true);
    for (const point of points) {
      await tryCrash(operation, point);
      tried += 1;
      expect(await hostState()).toBe(before);
    }
  },
);

test("the daemon was killed at enough points of VMs on the network", () => {
  console.log(`network: the daemon was killed at ${tried} points`);
  expect(tried).toBeGreaterThanOrEqual(LEAST_POINTS);
});
