import { expect, test } from "bun:test";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { BackOff, FIRST_MS, LONGEST_MS, STEADY_MS } from "./back-off.ts";

function createBench(): { clock: ManualClock; backOff: BackOff; told: string[] } {
  const clock = new ManualClock();
  const told: string[] = [];
  const tell = (what: string) => () => void told.push(`${what} at ${clock.now()}`);
  return { clock, backOff: new BackOff({ clock, again: tell("again"), cured: tell("cured") }), told };
}

test("a BackOff waits twice as long after each failure, up to its limit", () => {
  const { clock, backOff, told } = createBench();
  let now = 0;
  for (let failures = 1; failures <= 100; failures += 1) {
    const waitMs = Math.min(LONGEST_MS, FIRST_MS * 2 ** (failures - 1));
    expect(backOff.failed()).toEqual({ failures, waitMs });
    now += waitMs;
    clock.advance(waitMs - 1);
    expect([backOff.isWaiting, told.length]).toEqual([true, failures - 1]);
    clock.advance(1);
    expect([backOff.isWaiting, told.at(-1)]).toEqual([false, `again at ${now}`]);
  }
});

test("further failures of one attempt count once", () => {
  const { clock, backOff, told } = createBench();
  backOff.failed();
  expect(backOff.failed()).toBeUndefined();
  backOff.succeeded();
  clock.advance(LONGEST_MS + STEADY_MS);
  expect(told).toEqual([`again at ${FIRST_MS}`]);
});

test("a success cures once it has held for a while; a failure before that counts on", () => {
  const { clock, backOff, told } = createBench();
  backOff.succeeded();
  expect(clock.timers).toBe(0);
  backOff.failed();
  clock.advance(FIRST_MS);
  backOff.succeeded();
  clock.advance(STEADY_MS - 1);
  expect(backOff.failed()?.failures).toBe(2);
  clock.advance(2 * FIRST_MS);
  backOff.succeeded();
  backOff.succeeded();
  clock.advance(STEADY_MS);
  expect(told.at(-1)).toStartWith("cured");
  expect(backOff.failed()).toEqual({ failures: 1, waitMs: FIRST_MS });
});

test("a BackOff that was stopped has no timer, and lets nobody try", () => {
  const { clock, backOff, told } = createBench();
  backOff.failed();
  backOff.stop();
  expect([clock.timers, backOff.isWaiting, backOff.failed()]).toEqual([0, true, undefined]);
  clock.advance(LONGEST_MS);
  expect(told).toEqual([]);
});
