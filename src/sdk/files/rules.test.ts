/** The table of docs/copy-files.md, row by row. */
import { describe, expect, test } from "bun:test";
import { BangerError } from "../../model/errors.ts";
import { planCopy, type Seen } from "./rules.ts";

type Row = readonly [
  source: string,
  seen: Seen,
  target: string,
  targetSeen: Seen | undefined,
  outcome: string,
];

const ROWS: readonly Row[] = [
  ["dir/f", "file", "to/new", undefined, "to + new"],
  ["dir/f", "file", "new", undefined, ". + new"],
  ["dir/f", "file", "/new", undefined, "/ + new"],
  ["dir/f", "file", "to/new/", undefined, "refused"],
  ["dir/f", "file", "to/old", "file", "to + old"],
  ["dir/f", "file", "to/old/", "file", "refused"],
  ["dir/f", "file", "to", "directory", "to + f"],
  ["dir/f", "file", "to/", "directory", "to/ + f"],
  ["dir/f/", "file", "to", "directory", "refused"],
  ["dir/l", "other", "to", "directory", "to + l"],
  ["dir", "directory", "to/new", undefined, "to + new"],
  ["dir", "directory", "to/new/", undefined, "to + new"],
  ["dir/.", "directory", "to/new", undefined, "to + new"],
  ["dir", "directory", "to/old", "file", "refused"],
  ["dir", "directory", "to", "directory", "to + dir"],
  ["a/dir/", "directory", "to", "directory", "to + dir"],
  ["a/dir/.", "directory", "to", "directory", "to + ."],
  [".", "directory", "to", "directory", "to + ."],
  ["..", "directory", "to", "directory", "to + ."],
  ["/", "directory", "to", "directory", "to + ."],
  ["dir", "directory", "to/..", undefined, "refused"],
];

describe("planCopy()", () => {
  test.each(ROWS)("%s (%s) to %s (%s): %s %s", (source, seen, target, targetSeen, outcome) => {
    const plan = (): string => {
      const { directory, name } = planCopy({ path: source, seen }, { path: target, seen: targetSeen });
      return `${directory} + ${name}`;
    };
    if (outcome === "refused") expect(plan).toThrow(BangerError);
    else expect(plan()).toBe(outcome);
  });
});
