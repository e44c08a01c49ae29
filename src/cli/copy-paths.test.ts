/** What people write for `cp`. */
import { expect, test } from "bun:test";
import { BangerError } from "../model/errors.ts";
import { parseCopyPath } from "./copy-paths.ts";

test.each([
  ["web:/etc", { kind: "guest", vm: "web", path: "/etc" }],
  ["web:etc", { kind: "guest", vm: "web", path: "/etc" }],
  ["web:", { kind: "guest", vm: "web", path: "/" }],
  ["web:/a:b", { kind: "guest", vm: "web", path: "/a:b" }],
  ["./a:b", { kind: "host", path: "./a:b" }],
  ["/x:y", { kind: "host", path: "/x:y" }],
  ["file", { kind: "host", path: "file" }],
  ["-", { kind: "pipe" }],
] as const)("parseCopyPath() takes %s", (text, expected) => {
  expect(parseCopyPath(text)).toEqual(expected);
});

test.each(["", "Bad Name:/x", ":/x"])("parseCopyPath() refuses %j", (text) => {
  expect(() => parseCopyPath(text)).toThrow(BangerError);
});
