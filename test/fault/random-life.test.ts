/** Random lives of several VMs and their snapshots, with crashes of daemon and hypervisors in between, against a small model of the states: no difference. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { SAVING_DEEDS } from "./life-of-snapshots.ts";
import { CRASHES, type Deed, LIFE_OPERATIONS, LifeOfVms, NAMES } from "./life-of-vms.ts";

const SEED = 20_260_301;
const RUNS = 400;
const TIME_LIMIT_MS = 8_000;
const MOST_DEEDS = 25;

const deed: fc.Arbitrary<Deed> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({ deed: fc.constant("create" as const), name: fc.constantFrom(...NAMES) }),
  },
  {
    weight: 10,
    arbitrary: fc.record({ deed: fc.constantFrom(...LIFE_OPERATIONS), name: fc.constantFrom(...NAMES) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({ deed: fc.constantFrom(...SAVING_DEEDS), name: fc.constantFrom(...NAMES) }),
  },
  { weight: 3, arbitrary: fc.record({ deed: fc.constantFrom(...CRASHES), name: fc.constantFrom(...NAMES) }) },
);

test("any sequence of operations and crashes ends where the model says, and leaves nothing", async () => {
  let deeds = 0;
  let begun = 0;
  const end = performance.now() + TIME_LIMIT_MS;
  const lives = fc.asyncProperty(
    fc.array(deed, { minLength: 5, maxLength: MOST_DEEDS, size: "max" }),
    async (sequence) => {
      // fast-check's own time limit would leave a life in the middle, to go on beside the next test.
      if (begun > 0 && performance.now() > end) return;
      begun += 1;
      await using life = await LifeOfVms.create();
      for (const one of sequence) {
        await life.live(one);
        deeds += 1;
      }
      expect(await life.findLies()).toEqual([]);
    },
  );
  const report = await fc.check(lives, {
    seed: SEED,
    numRuns: RUNS,
  });
  if (report.failed) throw new Error(fc.defaultReportMessage(report), { cause: report.errorInstance });
  console.log(`fault suite: ${deeds} random deeds in ${begun} lives, seed ${SEED}`);
  expect(deeds).toBeGreaterThan(0);
});
