import { describe, expect, test } from "bun:test";
import { array, assert, boolean, property } from "fast-check";
import { type ByteRange, joinRanges, subtractRanges } from "./byte-ranges.ts";

const SIZE = 64;
const bytes = array(boolean(), { minLength: SIZE, maxLength: SIZE });

/** Ranges as sets of bytes: easy to get right. */
function rangesOf(set: readonly boolean[]): readonly ByteRange[] {
  const single = set.flatMap((there, start) => (there ? [{ start, end: start + 1 }] : []));
  return joinRanges(single, 0);
}

function setOf(ranges: readonly ByteRange[]): readonly boolean[] {
  return Array.from({ length: SIZE }, (_, at) => ranges.some(({ start, end }) => start <= at && at < end));
}

describe("subtractRanges()", () => {
  test("leaves what is in the one and not in the other", () => {
    assert(
      property(bytes, bytes, (from, holes) => {
        const left = subtractRanges(rangesOf(from), rangesOf(holes));
        expect(setOf(left)).toEqual(from.map((there, at) => there && holes[at] !== true));
        for (const { start, end } of left) expect(end).toBeGreaterThan(start);
      }),
    );
  });
});

describe("joinRanges()", () => {
  test("adds gaps that are small enough, and no others", () => {
    const ranges = [
      { start: 0, end: 2 },
      { start: 4, end: 5 },
      { start: 8, end: 9 },
    ];
    expect(joinRanges(ranges, 2)).toEqual([
      { start: 0, end: 5 },
      { start: 8, end: 9 },
    ]);
    expect(joinRanges(ranges, 1)).toEqual(ranges);
  });
});
