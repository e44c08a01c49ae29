import { expect, test } from "bun:test";
import { FIRST_PAUSE_MS, LONGEST_PAUSE_MS, Revival, WELL_MS } from "./revival.ts";

/** Time that goes on when it is told to. */
function createBench(revive: () => Promise<void>) {
  const waiting: { ms: number; work: () => void }[] = [];
  const problems: unknown[] = [];
  const time = { now: 0 };
  const revival = new Revival({
    revive,
    onProblem: (error) => void problems.push(error),
    now: () => time.now,
    later: (ms, work) => {
      const entry = { ms, work };
      waiting.push(entry);
      return { [Symbol.dispose]: () => void waiting.splice(waiting.indexOf(entry), 1) };
    },
  });
  return {
    revival,
    time,
    waiting,
    problems,
    /** Waits out the pause; how long it was. */
    pass(): number {
      const entry = waiting.shift();
      if (entry === undefined) throw new Error("nobody waits");
      time.now += entry.ms;
      entry.work();
      return entry.ms;
    },
  };
}

test("what ends is started at once, and what ends again and again after longer pauses up to a bound", () => {
  let starts = 0;
  const bench = createBench(async () => void (starts += 1));
  bench.revival.ended();
  expect(starts).toBe(1);
  const pauses = Array.from({ length: 10 }, () => {
    bench.revival.ended();
    return bench.pass();
  });
  expect(starts).toBe(11);
  expect(pauses.slice(0, 3)).toEqual([FIRST_PAUSE_MS, FIRST_PAUSE_MS * 2, FIRST_PAUSE_MS * 4]);
  expect(pauses.at(-1)).toBe(LONGEST_PAUSE_MS);
});

test("what ran well for a while is started at once when it ends", () => {
  let starts = 0;
  const bench = createBench(async () => void (starts += 1));
  bench.revival.ended();
  bench.revival.ended();
  bench.pass();
  bench.time.now += WELL_MS;
  bench.revival.ended();
  expect(starts).toBe(3);
  expect(bench.waiting).toEqual([]);
});

test("a start that fails is told and tried again after a pause, and two ends make one start", async () => {
  const failure = new Error("no");
  const bench = createBench(() => Promise.reject(failure));
  bench.revival.ended();
  await Promise.resolve();
  await Promise.resolve();
  expect(bench.problems).toEqual([failure]);
  bench.revival.ended();
  expect(bench.waiting.map(({ ms }) => ms)).toEqual([FIRST_PAUSE_MS]);
});

test("a start that waits is off when nobody wants it any more", () => {
  const bench = createBench(async () => undefined);
  bench.revival.ended();
  bench.revival.ended();
  expect(bench.waiting).toHaveLength(1);
  bench.revival[Symbol.dispose]();
  expect(bench.waiting).toEqual([]);
});
