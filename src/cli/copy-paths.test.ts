/** What people write for `cp` and `forward`. */
import { expect, test } from "bun:test";
import { BangerError } from "../model/errors.ts";
import { parseCopyPath, parseForward } from "./copy-paths.ts";

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

test.each([
  ["8080:80", ["127.0.0.1", 8080, "127.0.0.1", 80]],
  ["80", ["127.0.0.1", 80, "127.0.0.1", 80]],
  ["0:80", ["127.0.0.1", 0, "127.0.0.1", 80]],
  ["0.0.0.0:8080:80", ["0.0.0.0", 8080, "127.0.0.1", 80]],
  ["8080:10.0.0.2:80", ["127.0.0.1", 8080, "10.0.0.2", 80]],
  ["[::1]:8080:[fe80::1]:80", ["::1", 8080, "fe80::1", 80]],
] as const)("parseForward() takes %s", (text, expected) => {
  const { listen, target } = parseForward(text);
  expect([listen.host, listen.port, target.host, target.port]).toEqual([...expected]);
});

test.each(["", "x", "80:", ":80", "8080:0", "99999:80", "80:70000", "a:b", "1:2:3:4:5", "-1:80"])(
  "parseForward() refuses %j",
  (text) => {
    expect(() => parseForward(text)).toThrow(BangerError);
  },
);
