import { expect, test } from "bun:test";
import { getEventListeners } from "node:events";
import { quiet } from "./quiet.ts";

test("quiet() is over after its time, or at once with the signal, and leaves no listener", async () => {
  const ending = new AbortController();
  const from = performance.now();
  await quiet(20, ending.signal);
  expect(performance.now() - from).toBeGreaterThanOrEqual(19);
  expect(getEventListeners(ending.signal, "abort")).toEqual([]);
  const long = quiet(3_600_000, ending.signal);
  ending.abort();
  await long;
  expect(getEventListeners(ending.signal, "abort")).toEqual([]);
  await quiet(3_600_000, ending.signal);
});
