import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { parseChallenges } from "./challenge.ts";

function read(header: string): [string, Record<string, string>][] {
  return parseChallenges(header).map(({ scheme, parameters }) => [scheme, Object.fromEntries(parameters)]);
}

test.each<[string, [string, Record<string, string>][]]>([
  ["", []],
  ["Basic", [["basic", {}]]],
  ['Basic realm="here"', [["basic", { realm: "here" }]]],
  [
    'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/debian:pull"',
    [
      [
        "bearer",
        {
          realm: "https://auth.docker.io/token",
          service: "registry.docker.io",
          scope: "repository:library/debian:pull",
        },
      ],
    ],
  ],
  [
    'Basic realm="a", Bearer realm = "b" , SCOPE=c',
    [
      ["basic", { realm: "a" }],
      ["bearer", { realm: "b", scope: "c" }],
    ],
  ],
  ['Bearer realm="a\\"b\\\\c", realm="d"', [["bearer", { realm: 'a"b\\c' }]]],
  [
    "Negotiate YWJj==, Basic realm=x",
    [
      ["negotiate", {}],
      ["basic", { realm: "x" }],
    ],
  ],
  [", ,Basic realm=x,,", [["basic", { realm: "x" }]]],
  ['Bearer realm="unclosed', [["bearer", {}]]],
  ['Bearer realm="a" "b"', [["bearer", { realm: "a" }]]],
])("parseChallenges() reads %j", (header, expected) => {
  expect(read(header)).toEqual(expected);
});

const word = fc.stringMatching(/^[A-Za-z][A-Za-z0-9-]{0,10}$/u);

test("parseChallenges() reads what was written, however it is quoted", () => {
  const challenge = fc.tuple(
    word,
    fc.uniqueArray(fc.tuple(word, fc.string({ maxLength: 20 })), {
      selector: ([name]) => name.toLowerCase(),
      minLength: 1,
      maxLength: 4,
    }),
  );
  fc.assert(
    fc.property(fc.array(challenge, { minLength: 1, maxLength: 4 }), (challenges) => {
      const header = challenges
        .map(
          ([scheme, parameters]) =>
            `${scheme} ${parameters.map(([name, value]) => `${name}="${value.replace(/["\\]/gu, "\\$&")}"`).join(", ")}`,
        )
        .join(", ");
      expect(read(header)).toEqual(
        challenges.map(([scheme, parameters]) => [
          scheme.toLowerCase(),
          Object.fromEntries(parameters.map(([name, value]) => [name.toLowerCase(), value])),
        ]),
      );
    }),
    { seed: 5, numRuns: 500 },
  );
});

test("parseChallenges() takes any text, in good time", () => {
  const hostile = fc.oneof(
    fc.string({ unit: "binary", maxLength: 300 }),
    fc
      .array(fc.constantFrom("Bearer", " ", ",", "=", '"', "\\", "realm", "a=b", "Basic ", "=="), {
        maxLength: 80,
      })
      .map((parts) => parts.join("")),
  );
  fc.assert(
    fc.property(hostile, (header) => {
      expect(parseChallenges(header).length).toBeLessThanOrEqual(16);
    }),
    { seed: 5, numRuns: 5000 },
  );
  for (const text of ['a="', "a ", "a,", "\\", '"', "a=b ", "a b=", " ,"]) {
    const from = performance.now();
    parseChallenges(text.repeat(200_000));
    expect(performance.now() - from).toBeLessThan(20_000);
  }
});
