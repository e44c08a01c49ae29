import { expect, test } from "bun:test";
import { Slots } from "./slots.ts";

const signal = new AbortController().signal;

test("Slots runs as many at once as it has places, in the order of coming", async () => {
  const slots = new Slots(2);
  const began: number[] = [];
  const held = [0, 1, 2, 3].map(() => Promise.withResolvers<void>());
  const works = held.map(async ({ promise }, index) => {
    await slots.use(signal, async () => {
      began.push(index);
      await promise;
    });
  });
  await Promise.resolve();
  expect(began).toEqual([0, 1]);
  held[1]?.resolve();
  await works[1];
  expect(began).toEqual([0, 1, 2]);
  for (const { resolve } of held) resolve();
  await Promise.all(works);
  expect(began).toEqual([0, 1, 2, 3]);
});

test("Slots lets go of who gives up, and of work that fails", async () => {
  const slots = new Slots(1);
  const held = Promise.withResolvers<void>();
  const first = slots.use(signal, async () => await held.promise);
  const giving = new AbortController();
  const second = slots.use(giving.signal, async () => "second").catch((error: unknown) => error);
  const third = slots.use(signal, async () => {
    throw new Error("third");
  });
  giving.abort();
  expect(await second).toMatchObject({ code: "cancelled" });
  held.resolve();
  await first;
  expect(await third.catch((error: unknown) => error)).toMatchObject({ message: "third" });
  expect(await slots.use(signal, async () => "fourth")).toBe("fourth");
  expect(await slots.use(giving.signal, async () => "fifth").catch((error: unknown) => error)).toMatchObject({
    code: "cancelled",
  });
});
