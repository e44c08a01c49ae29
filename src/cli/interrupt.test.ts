import { expect, test } from "bun:test";
import { refusal } from "../../test/support/refusal.ts";
import { BangerError } from "../model/errors.ts";
import { exitCodeOf } from "./exit-codes.ts";
import { interruptible, isInterrupted } from "./interrupt.ts";

test.each(["SIGINT", "SIGTERM"] as const)(
  "interruptible() is given up by %s, and says so whatever its work makes of it",
  async (name) => {
    const before = process.listenerCount(name);
    const work = interruptible(
      async (signal) =>
        await new Promise((_, reject) => {
          signal.addEventListener("abort", () => reject(new DOMException("gone", "AbortError")));
        }),
    );
    process.emit(name);
    const error = await refusal(work, "cancelled");
    expect(isInterrupted(error)).toBe(true);
    expect(exitCodeOf(error)).toBe(130);
    expect(process.listenerCount(name)).toBe(before);
  },
);

test("interruptible() passes results and errors on, and those of somebody else's cancel", async () => {
  expect(await interruptible(async () => await Promise.resolve(7))).toBe(7);
  const theirs = new BangerError("cancelled", "a stop ended the start");
  const error = await refusal(interruptible(async () => await Promise.reject(theirs)));
  expect(error).toBe(theirs);
  expect(exitCodeOf(error)).toBe(1);
});
