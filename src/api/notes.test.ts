import { expect, test } from "bun:test";
import { decodeNotes, encodeNotes } from "./notes.ts";

test("encodeNotes() makes a header that decodeNotes() reads, whatever a name holds", () => {
  const notes = ['a "b"\n\r\0\\: \u{1f600} é', "second"];
  const value = encodeNotes(notes) ?? "";
  expect(value).toMatch(/^[\x20-\x7e]+$/);
  expect(decodeNotes(value)).toEqual(notes);
  expect(new Headers({ "banger-notes": value }).get("banger-notes")).toBe(value);
  expect(encodeNotes([])).toBeUndefined();
});

test("encodeNotes() stays small, and counts what has no room", () => {
  const many = encodeNotes(Array.from({ length: 100 }, (_, at) => `${at} ${"x".repeat(200)}`)) ?? "";
  expect(many.length).toBeLessThanOrEqual(4096);
  const read = decodeNotes(many);
  expect(read.at(-1)).toBe(`and ${100 - read.length + 1} more of this kind`);
  expect(decodeNotes(encodeNotes(["\u{1f600}".repeat(5000)]))).toHaveLength(1);
  expect((encodeNotes(["\u{1f600}".repeat(5000)]) ?? "").length).toBeLessThanOrEqual(4096);
});

test("decodeNotes() takes no nonsense", () => {
  for (const text of ["{", "{}", "1", "null"]) expect(decodeNotes(text)).toEqual([]);
  expect(decodeNotes('["a",1,null]')).toEqual(["a"]);
  expect(decodeNotes(undefined)).toEqual([]);
});
