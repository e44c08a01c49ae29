import { expect, test } from "bun:test";
import { settlesWithin } from "./settles-within.ts";

test("settlesWithin() tells a promise that settles, either way, from one that does not", async () => {
  expect(await settlesWithin(Promise.resolve(), 1000)).toBe(true);
  expect(await settlesWithin(Promise.reject(new Error("no")), 1000)).toBe(true);
  expect(await settlesWithin(Promise.withResolvers().promise, 5)).toBe(false);
});
