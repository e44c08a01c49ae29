/** What may be written behind -p, what it means, and which two cannot both be had. */
import { expect, test } from "bun:test";
import { BangerError } from "./errors.ts";
import {
  applyPortsWish,
  clashes,
  formatPublished,
  MAX_PUBLISHED,
  parsePublish,
  parseUnpublish,
  validatePorts,
} from "./published-port.ts";

test.each([
  ["8080:80", "127.0.0.1:8080->80"],
  ["0:80", "127.0.0.1:0->80"],
  ["0.0.0.0:53:5353/udp", "0.0.0.0:53->5353/udp"],
  ["127.0.0.2:1:65535/tcp", "127.0.0.2:1->65535"],
  ["[::1]:8080:80", "[::1]:8080->80"],
  ["[0:0:0:0:0:0:0:1]:8080:80", "[::1]:8080->80"],
])("parsePublish(%j) means %s", (text, meaning) => {
  expect(formatPublished(parsePublish(text))).toBe(meaning);
});

test.each([
  "80",
  "8080:0",
  "65536:80",
  "8080:65536",
  "8080:99999999999",
  "-1:80",
  ":80",
  "8080:",
  "8080:80/sctp",
  "localhost:8080:80",
  "256.0.0.1:1:1",
  "1.2.3:1:1",
  "1.2.3.4.:1:1",
  "::1:8080:80",
  "[::1:8080:80",
  "[:::]:8080:80",
  "[127.0.0.1]:8080:80",
  "8080:80:",
  "a:b",
  "",
])("parsePublish(%j) is refused with the cure", (text) => {
  const error = thrown(() => parsePublish(text));
  expect(error).toMatchObject({ code: "invalid_argument" });
  expect(error.cure).toBeDefined();
});

test.each([
  ["8080:80", "8080:81", true],
  ["8080:80", "8080:80/udp", false],
  ["8080:80", "0.0.0.0:8080:80", true],
  ["8080:80", "127.0.0.2:8080:80", false],
  ["[::]:8080:80", "[::1]:8080:80", true],
  ["[::]:8080:80", "0.0.0.0:8080:80", false],
  ["0:80", "0:80", false],
])("%s and %s clash: %p", (one, other, expected) => {
  expect(clashes(parsePublish(one), parsePublish(other))).toBe(expected);
});

test("validatePorts() takes one that is named twice once, and refuses two places and too many", () => {
  const of = (...texts: string[]) => texts.map(parsePublish);
  expect(validatePorts(of("8080:80", "8080:80", "0:80", "0:80")).length).toBe(3);
  expect(thrown(() => validatePorts(of("8080:80", "0.0.0.0:8080:81"))).message).toBe(
    "0.0.0.0:8080 is to lead to two places",
  );
  const many = Array.from({ length: MAX_PUBLISHED + 1 }, (_, at) => parsePublish(`${at + 1}:80`));
  expect(validatePorts(many.slice(1)).length).toBe(MAX_PUBLISHED);
  expect(thrown(() => validatePorts(many)).code).toBe("invalid_argument");
});

test("applyPortsWish() takes away first, by port or by address and port, and says what is not there", () => {
  const before = ["8080:80", "127.0.0.2:8080:80", "53:53/udp"].map(parsePublish);
  const after = (wish: { publish?: string[]; unpublish?: string[] }) =>
    applyPortsWish(before, {
      publish: (wish.publish ?? []).map(parsePublish),
      unpublish: (wish.unpublish ?? []).map(parseUnpublish),
    }).map(formatPublished);
  expect(after({ unpublish: ["8080"] })).toEqual(["127.0.0.1:53->53/udp"]);
  expect(after({ unpublish: ["127.0.0.2:8080", "53/udp"] })).toEqual(["127.0.0.1:8080->80"]);
  expect(after({ unpublish: ["127.0.0.2:8080:80", "53:53/udp"] })).toEqual(["127.0.0.1:8080->80"]);
  expect(after({ unpublish: ["8080"], publish: ["8080:81"] })).toEqual([
    "127.0.0.1:53->53/udp",
    "127.0.0.1:8080->81",
  ]);
  expect(after({ publish: ["8080:80"] }).length).toBe(3);
  expect(thrown(() => after({ publish: ["8080:81"] })).code).toBe("invalid_argument");
  expect(thrown(() => after({ unpublish: ["53"] })).cure).toContain("127.0.0.1:8080->80");
});

function thrown(act: () => unknown): BangerError {
  try {
    act();
  } catch (error) {
    if (error instanceof BangerError) return error;
    throw error;
  }
  throw new Error("nothing was thrown");
}
