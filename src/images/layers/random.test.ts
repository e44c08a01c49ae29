/** Random stacks of layers: whatever umoci makes of one, or refuses, the merge does too. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { BangerError } from "../../model/errors.ts";
import { createTemporaryDirectory } from "../testing.ts";
import {
  type LayerEntry,
  layerTar,
  listTree,
  umociProblem,
  unpackOurs,
  unpackWithUmoci,
  withoutUnpackingTimes,
} from "./testing.ts";

/** BANGER_FUZZ_RUNS and BANGER_FUZZ_SEED repeat a failure or search longer. */
const RUNS = Number(process.env["BANGER_FUZZ_RUNS"] ?? 60);
const SEED = Number(process.env["BANGER_FUZZ_SEED"] ?? 1);

const problem = umociProblem();
if (problem !== "") console.warn(`skipped: random layers against umoci (${problem})`);

// Few names, so that layers meet.
const name = fc.constantFrom("a", "b", "c");
const path = fc.array(name, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("/"));
const whiteout = fc.tuple(
  fc.array(name, { maxLength: 2 }),
  fc.constantFrom(".wh.a", ".wh.b", ".wh.c", ".wh..wh..opq"),
);
const facts = fc.record({
  mode: fc.constantFrom(0o644, 0o755, 0o4711, 0o1777),
  uid: fc.constantFrom(0, 7, 100_000),
  mtimeSeconds: fc.constantFrom(0, 1_234_567_890),
});
const entry: fc.Arbitrary<LayerEntry> = fc.oneof(
  { arbitrary: fc.record({ path, content: fc.constantFrom("", "x", "yy") }), weight: 4 },
  { arbitrary: fc.record({ path, kind: fc.constant("directory" as const) }), weight: 3 },
  {
    arbitrary: fc.record({
      path,
      kind: fc.constant("symlink" as const),
      linkPath: fc.oneof(
        path,
        path.map((at) => `/${at}`),
        path.map((at) => `../${at}`),
        fc.constantFrom("..", ".", "/"),
      ),
    }),
    weight: 2,
  },
  { arbitrary: fc.record({ path, kind: fc.constant("hardlink" as const), linkPath: path }), weight: 3 },
  { arbitrary: fc.record({ path, kind: fc.constant("fifo" as const) }), weight: 1 },
  { arbitrary: whiteout.map(([dir, file]) => ({ path: [...dir, file].join("/") })), weight: 2 },
);
const full = fc.tuple(entry, facts).map(([one, more]): LayerEntry => ({ ...more, ...one }));
const stack = fc.array(fc.array(full, { maxLength: 7 }), { minLength: 1, maxLength: 4 });

test.skipIf(problem !== "")("mergeLayers() does with random layers what umoci does", async () => {
  let equal = 0;
  await fc.assert(
    fc.asyncProperty(stack, async (layers) => {
      await using scratch = await createTemporaryDirectory();
      const tars = layers.map(layerTar);
      const from = Math.floor(Date.now() / 1000);
      const theirs = await unpackWithUmoci(scratch.path, tars).then(listTree, () => "refused");
      const ours = await unpackOurs(scratch.path, tars).then(listTree, (error: unknown) => {
        if (error instanceof BangerError && error.code === "invalid_argument") return "refused";
        throw error;
      });
      if (typeof ours === "string" || typeof theirs === "string") {
        expect(ours).toEqual(theirs);
        return;
      }
      const { first, second } = withoutUnpackingTimes(theirs, ours, from);
      expect(second).toEqual(first);
      equal += 1;
    }),
    { seed: SEED, numRuns: RUNS },
  );
  // Not everything that is compared may be a refusal.
  expect(equal).toBeGreaterThan(RUNS / 5);
});
