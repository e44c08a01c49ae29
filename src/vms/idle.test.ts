import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { ManualClock } from "../../test/support/manual-clock.ts";
import { createIdleClock, IdleWatch } from "./idle.ts";

const AFTER_MS = 1000;

function createBench(afterMs: number | undefined = AFTER_MS): {
  clock: ManualClock;
  idle: IdleWatch;
  told: string[];
} {
  const clock = new ManualClock();
  const told: string[] = [];
  const idle = new IdleWatch({ afterMs, clock, onIdle: (id) => told.push(`${id} at ${clock.now()}`) });
  return { clock, idle, told };
}

test("IdleWatch tells of a VM once, when it has been unused for long enough", () => {
  const { clock, idle, told } = createBench();
  idle.watch("a");
  clock.advance(AFTER_MS - 1);
  expect(told).toEqual([]);
  expect(idle.isIdle("a")).toBe(false);
  clock.advance(1);
  expect(told).toEqual(["a at 1000"]);
  expect(idle.isIdle("a")).toBe(true);
  clock.advance(10 * AFTER_MS);
  expect(told).toHaveLength(1);
});

test("a use that is over counts from its end; one that lasts holds as long as it lasts", () => {
  const { clock, idle, told } = createBench();
  idle.watch("a");
  clock.advance(900);
  idle.touch("a");
  clock.advance(900);
  expect(told).toEqual([]);
  const first = idle.use("a");
  const second = idle.use("a");
  clock.advance(50 * AFTER_MS);
  first[Symbol.dispose]();
  first[Symbol.dispose]();
  clock.advance(50 * AFTER_MS);
  expect(told).toEqual([]);
  second[Symbol.dispose]();
  const end = clock.now();
  clock.advance(AFTER_MS);
  expect(told).toEqual([`a at ${end + AFTER_MS}`]);
});

test("a VM that was told of and then used is told of again", () => {
  const { clock, idle, told } = createBench();
  idle.watch("a");
  clock.advance(AFTER_MS);
  idle.touch("a");
  expect(idle.isIdle("a")).toBe(false);
  clock.advance(AFTER_MS);
  expect(told).toEqual(["a at 1000", "a at 2000"]);
});

test("a watch that has ended is told of no more, and does not end a later one of the same VM", () => {
  const { clock, idle, told } = createBench();
  const first = idle.watch("a");
  clock.advance(500);
  idle.watch("a");
  first[Symbol.dispose]();
  clock.advance(600);
  expect(told).toEqual([]);
  clock.advance(400);
  expect(told).toEqual(["a at 1500"]);
  idle.watch("b")[Symbol.dispose]();
  clock.advance(2 * AFTER_MS);
  expect(told).toHaveLength(1);
  expect(idle.isIdle("b")).toBe(false);
  idle.touch("b");
  expect(clock.timers).toBe(0);
});

test("a thousand VMs and uses set one timer; nothing is set without auto_stop_after, and after the end", () => {
  const { clock, idle, told } = createBench();
  for (let index = 0; index < 1000; index += 1) idle.watch(`vm-${index}`);
  for (let index = 0; index < 1000; index += 1) idle.touch(`vm-${index}`);
  expect(clock.timers).toBe(1);
  idle[Symbol.dispose]();
  idle.watch("late");
  expect(clock.timers).toBe(0);
  clock.advance(2 * AFTER_MS);
  expect(told).toEqual([]);
  const never = new IdleWatch({ afterMs: undefined, clock, onIdle: (id) => told.push(id) });
  never.watch("a");
  never.touch("a");
  expect(clock.timers).toBe(0);
  expect(never.isIdle("a")).toBe(false);
});

test("whatever is done, each VM is told of exactly when its last use is so long ago", () => {
  const act = fc.record({
    vm: fc.constantFrom("a", "b", "c"),
    what: fc.constantFrom("touch", "use", "release"),
    ms: fc.integer({ min: 0, max: 1500 }),
  });
  fc.assert(
    fc.property(fc.array(act, { maxLength: 40 }), (acts) => {
      const { clock, idle, told } = createBench();
      const model = new Map(
        ["a", "b", "c"].map((id) => [id, { uses: [] as Disposable[], since: 0, told: false }]),
      );
      for (const id of model.keys()) idle.watch(id);
      const expected: string[] = [];
      for (const { vm, what, ms } of acts) {
        const end = clock.now() + ms;
        for (const [id, entry] of model) {
          if (entry.told || entry.uses.length > 0 || entry.since + AFTER_MS > end) continue;
          entry.told = true;
          expected.push(`${id} at ${entry.since + AFTER_MS}`);
        }
        clock.advance(ms);
        const entry = model.get(vm);
        if (entry === undefined) continue;
        if (what === "use") entry.uses.push(idle.use(vm));
        else if (what === "touch") idle.touch(vm);
        const released = what === "release" ? entry.uses.shift() : undefined;
        released?.[Symbol.dispose]();
        if (what === "touch" || released !== undefined)
          Object.assign(entry, { since: clock.now(), told: false });
        expect(clock.timers).toBeLessThanOrEqual(1);
      }
      expect(told.toSorted()).toEqual(expected.toSorted());
    }),
  );
});

test("createIdleClock() waits in steps for what its timers cannot hold, and lets go of a timer", () => {
  const clock = createIdleClock();
  const release = clock.after(365 * 86_400_000, () => {
    throw new Error("a year has not passed");
  });
  expect(clock.now()).toBeGreaterThan(0);
  release();
  release();
});
