/** What people write for `forward`. */
import { expect, test } from "bun:test";
import { BangerError } from "../model/errors.ts";
import { parseForward } from "./forward-spec.ts";

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
