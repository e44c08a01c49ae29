import { expect, test } from "bun:test";
import { encode } from "dns-packet";
import * as fc from "fast-check";
import { aged, lifetimeOf } from "./lifetime.ts";

const ANSWER = encode({
  type: "response",
  id: 7,
  questions: [{ type: "A", name: "a.good.test" }],
  answers: [
    { type: "CNAME", name: "a.good.test", ttl: 300, data: "b.good.test" },
    { type: "A", name: "b.good.test", ttl: 60, data: "203.0.113.9" },
  ],
});

test("lifetimeOf() finds every TTL, behind names that point to earlier ones too", () => {
  const lifetime = lifetimeOf(ANSWER);
  expect(lifetime?.seconds).toBe(60);
  expect(lifetime?.places.map((place) => ANSWER.readUInt32BE(place))).toEqual([300, 60]);
  // RFC 1035, section 4.1.4: the answer's name is a pointer to the question's.
  const pointing = Buffer.concat([
    ANSWER.subarray(0, 6),
    Buffer.from([0, 1, 0, 0, 0, 0]),
    ANSWER.subarray(12, 12 + 13 + 4),
    Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 203, 0, 113, 9]),
  ]);
  expect(lifetimeOf(pointing)?.seconds).toBe(9);
});

test("lifetimeOf() takes any bytes, and only places inside them", () => {
  const near = fc.array(fc.tuple(fc.nat(ANSWER.length - 1), fc.nat(255)), { maxLength: 6 }).map((changes) => {
    const bytes = Buffer.from(ANSWER);
    for (const [at, byte] of changes) bytes[at] = byte;
    return bytes;
  });
  const cut = fc.nat(ANSWER.length).map((length) => ANSWER.subarray(0, length));
  const any = fc.uint8Array({ maxLength: 600 });
  fc.assert(
    fc.property(fc.oneof(near, cut, any), (bytes) => {
      const lifetime = lifetimeOf(bytes);
      if (lifetime === undefined) return;
      expect(lifetime.seconds).toBeGreaterThan(0);
      for (const place of lifetime.places) expect(place + 4).toBeLessThanOrEqual(bytes.length);
      const older = aged(bytes, lifetime, { id: 513, ageS: lifetime.seconds - 1 });
      expect(older.length).toBe(bytes.length);
      expect(older.subarray(0, 2)).toEqual(Buffer.from([2, 1]));
    }),
    { numRuns: 2_000, seed: 1035 },
  );
});
