/** The daemon is killed (SIGKILL) at every step that any operation announces; the next daemon finds the truth and repairs the rest. */
import { expect, test } from "bun:test";
import { findCrashPoints, findRepairPoints, tryCrash, tryCrashAfterwards } from "./crash-points.ts";
import type { CrashPoint } from "./daemon-program.ts";
import { eachAtOnce } from "./each-at-once.ts";
import { type FaultOperation } from "./operation.ts";
import { FAULT_OPERATIONS } from "./operations.ts";

/** Homes that are crashed at the same time: each is mostly waiting for a daemon to start. */
const AT_ONCE = 3;
/** The suite was blind if it found fewer. */
const LEAST_POINTS = 220;

/** Crash points tried so far. */
let tried = 0;

test.each(titled(FAULT_OPERATIONS))(
  "%s: killed at each of its steps, the next daemon lies about nothing, leaks nothing, and repeats it",
  async (_, operation) => {
    const points = await findCrashPoints(operation);
    expect(points.length).toBeGreaterThan(1);
    await eachAtOnce(points, AT_ONCE, async (point) => {
      await tryCrash(operation, point);
      tried += 1;
    });
  },
);

test("what was acknowledged is there when the daemon is killed right after", async () => {
  await eachAtOnce(FAULT_OPERATIONS, AT_ONCE, async (operation) => {
    await tryCrashAfterwards(operation);
    tried += 1;
  });
});

/** Homes in which the next daemon has something to repair. */
const REPAIRS: readonly (readonly [title: string, point: CrashPoint])[] = [
  ["start of a VM that ran before", { step: "start:configure", occurrence: 3 }],
  ["stop", { step: "stop:end process", occurrence: 1 }],
  ["rm -f of a running VM", { step: "remove:directory", occurrence: 1 }],
  ["run --rm", { step: "start:configure", occurrence: 2 }],
];

test.each(REPAIRS)(
  "repairing a broken-off %s (%j) survives being killed at each of its own steps",
  async (title, point) => {
    const operation = FAULT_OPERATIONS.find((one) => one.title === title);
    if (operation === undefined) throw new Error(`no operation is called ${title}`);
    const repairs = await findRepairPoints(operation, point);
    expect(repairs.length).toBeGreaterThan(1);
    await eachAtOnce(repairs, AT_ONCE, async (repair) => {
      await tryCrash(operation, point, repair);
      tried += 1;
    });
  },
);

test(`the daemon was killed at no fewer than ${LEAST_POINTS} points`, () => {
  console.log(`fault suite: the daemon was killed at ${tried} points`);
  expect(tried).toBeGreaterThanOrEqual(LEAST_POINTS);
});

function titled(operations: readonly FaultOperation[]): (readonly [string, FaultOperation])[] {
  return operations.map((operation) => [operation.title, operation]);
}
