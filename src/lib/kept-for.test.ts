import { expect, test } from "bun:test";
import { keptFor } from "./kept-for.ts";

test("keptFor() makes a value when it is wanted, and again once it is old", () => {
  let [clock, made] = [0, 0];
  const value = keptFor(
    1_000,
    () => (made += 1),
    () => clock,
  );
  expect(made).toBe(0);
  expect([value(), value()]).toEqual([1, 1]);
  clock = 999;
  expect(value()).toBe(1);
  clock = 1_000;
  expect(value()).toBe(2);
  clock = 1_999;
  expect(value()).toBe(2);
});

test("keptFor() keeps no failure", () => {
  let fails = true;
  const value = keptFor(1_000, () => {
    if (fails) throw new Error("not now");
    return "here";
  });
  expect(value).toThrow("not now");
  fails = false;
  expect(value()).toBe("here");
});
