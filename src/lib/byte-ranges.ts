/** Ranges of bytes: ascending, not empty, not touching each other. */

export interface ByteRange {
  readonly start: number;
  /** The first byte after it. */
  readonly end: number;
}

/** The bytes of `ranges` that are in none of `holes`. */
export function subtractRanges(
  ranges: readonly ByteRange[],
  holes: readonly ByteRange[],
): readonly ByteRange[] {
  const left: ByteRange[] = [];
  let next = 0;
  for (const range of ranges) {
    let { start } = range;
    for (; next < holes.length; next += 1) {
      const hole = holes[next];
      if (hole === undefined || hole.start >= range.end) break;
      if (hole.start > start) left.push({ start, end: hole.start });
      start = Math.max(start, hole.end);
      // A hole that reaches into the next range is looked at again there.
      if (hole.end > range.end) break;
    }
    if (start < range.end) left.push({ start, end: range.end });
  }
  return left;
}

/** The same bytes and those of every gap of at most `gapBytes`: fewer ranges to visit one by one. */
export function joinRanges(ranges: readonly ByteRange[], gapBytes: number): readonly ByteRange[] {
  const joined: ByteRange[] = [];
  for (const range of ranges) {
    const last = joined.at(-1);
    if (last !== undefined && range.start - last.end <= gapBytes)
      joined[joined.length - 1] = { start: last.start, end: range.end };
    else joined.push(range);
  }
  return joined;
}
