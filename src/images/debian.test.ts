import { expect, test } from "bun:test";
import { stageFromLine } from "./debian.ts";
import { hasSubordinateIds } from "./debian-privilege.ts";

test("stageFromLine() knows mmdebstrap's information lines and nothing else", () => {
  expect(stageFromLine("I: running apt-get update...")).toBe("fetching package lists");
  expect(stageFromLine("I: downloading packages with apt...")).toBe("downloading packages");
  expect(stageFromLine("W: downloading packages with apt...")).toBeUndefined();
  expect(stageFromLine("Get:1 bookworm InRelease")).toBeUndefined();
});

test("hasSubordinateIds() wants 65,536 ids under the user's name or number", () => {
  const user = { uid: 1000, username: "ann" };
  expect(hasSubordinateIds("bob:100000:65536\nann:165536:65536\n", user)).toBe(true);
  expect(hasSubordinateIds("1000:165536:65536", user)).toBe(true);
  expect(hasSubordinateIds("ann:165536:1000\nannie:1:65536", user)).toBe(false);
  expect(hasSubordinateIds("", user)).toBe(false);
});
