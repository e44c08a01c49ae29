import { expect, test } from "bun:test";
import { lastWords } from "./console-words.ts";

const trace = Array.from({ length: 15 }, (_, i) => `[    0.1] frame_${i}+0x44/0x5c`);
const panic = "[    0.1] Kernel panic - not syncing: IO-APIC + timer doesn't work!";

test("shows the last dozen lines", () => {
  expect(lastWords(trace.join("\n"))).toEqual(trace.slice(-12));
  expect(lastWords("one\n\ntwo\n")).toEqual(["one", "two"]);
  expect(lastWords("")).toEqual([]);
});

test("shows why the kernel panicked, however long the call trace is", () => {
  expect(lastWords(["boot", panic, ...trace].join("\n"))).toEqual([panic, ...trace.slice(-12)]);
});

test("says it once when the last lines have it", () => {
  expect(lastWords(["boot", panic, ...trace.slice(0, 3)].join("\n"))).toEqual([
    "boot",
    panic,
    ...trace.slice(0, 3),
  ]);
});
