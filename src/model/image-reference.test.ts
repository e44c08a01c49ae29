import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { BangerError } from "./errors.ts";
import { parseImageReference, showImageReference, validateRegistry } from "./image-reference.ts";

const D256 = `sha256:${"0a".repeat(32)}`;
const D512 = `sha512:${"0a".repeat(64)}`;

test.each([
  ["debian", "docker.io", "library/debian", "latest", undefined],
  ["debian:12", "docker.io", "library/debian", "12", undefined],
  ["docker.io/debian", "docker.io", "library/debian", "latest", undefined],
  ["index.docker.io/some/thing", "docker.io", "some/thing", "latest", undefined],
  ["some/thing", "docker.io", "some/thing", "latest", undefined],
  ["ghcr.io/some/thing:tag", "ghcr.io", "some/thing", "tag", undefined],
  ["GHCR.io/some/thing", "ghcr.io", "some/thing", "latest", undefined],
  ["ghcr.io/one", "ghcr.io", "one", "latest", undefined],
  ["localhost/a", "localhost", "a", "latest", undefined],
  ["localhost:5000/a/b/c:V_1.2-x", "localhost:5000", "a/b/c", "V_1.2-x", undefined],
  ["[::1]:5000/a", "[::1]:5000", "a", "latest", undefined],
  ["myhost/a", "docker.io", "myhost/a", "latest", undefined],
  [`debian@${D256}`, "docker.io", "library/debian", undefined, D256],
  [`h:1/a:t@${D512}`, "h:1", "a", "t", D512],
  ["a.b/c__d/e---f/g.h_i", "a.b", "c__d/e---f/g.h_i", "latest", undefined],
])("parseImageReference() reads %s", (text, registry, repository, tag, digest) => {
  const reference = parseImageReference(text);
  expect(reference).toEqual({ registry, repository, tag, digest } as never);
  expect(parseImageReference(showImageReference(reference))).toEqual(reference);
});

test.each([
  ["", "no name"],
  [":tag", "no name"],
  ["/a", "is empty"],
  ["a//b", "is empty"],
  ["a/", "is empty"],
  ["a:", "a tag is"],
  ["a:.x", "a tag is"],
  [`a:${"x".repeat(129)}`, "a tag is"],
  ["a@b", "what follows '@'"],
  [`a@sha256:${"0A".repeat(32)}`, "what follows '@'"],
  [`a@${D256}@${D256}`, "more than one '@'"],
  ["Debian", '"Debian" is not a-z'],
  ["a..b", "is not a-z"],
  ["a___b", "is not a-z"],
  ["-a", "is not a-z"],
  ["a/../b", "is not a-z"],
  ["h.io/a b", "is not a-z"],
  ["h.io:0/a", "name of a registry"],
  ["h.io:65536/a", "name of a registry"],
  ["-h.io/a", "name of a registry"],
  ["u:p@h.io/a", "what follows '@'"],
  ["https://ghcr.io/a", "name of a registry"],
  ["a\n", "is not a-z"],
  ["0a".repeat(32), "an id"],
  [`h.io/${"a/".repeat(130)}a`, "at most 255"],
])("parseImageReference() refuses %j and says why", (text, why) => {
  const error = refusalOf(() => parseImageReference(text));
  expect(error.code).toBe("invalid_argument");
  expect(error.message).toContain(why);
  expect(error.message.length).toBeLessThan(400);
});

test("parseImageReference() reads or refuses every text, and what it read is read the same again", () => {
  const near = fc.stringMatching(/^[a-zA-Z0-9.:/@_[\]-]{0,60}$/u);
  const text = fc.oneof(
    fc.string({ unit: "binary", maxLength: 600 }),
    near,
    near.map((name) => `${name}@${D256}`),
  );
  fc.assert(
    fc.property(text, (text) => {
      const outcome = attempt(() => parseImageReference(text));
      if (outcome instanceof BangerError) return outcome.code === "invalid_argument";
      expect(outcome.repository).toMatch(/^[a-z0-9._/-]{1,255}$/u);
      expect(`/${outcome.repository}/`).not.toMatch(/\/\.{0,2}\//u);
      expect(validateRegistry(outcome.registry)).toBe(outcome.registry);
      expect(parseImageReference(showImageReference(outcome))).toEqual(outcome);
      return true;
    }),
    { seed: 5, numRuns: 5000 },
  );
});

function attempt<T>(work: () => T): T | BangerError {
  try {
    return work();
  } catch (error) {
    if (error instanceof BangerError) return error;
    throw error;
  }
}

function refusalOf(work: () => unknown): BangerError {
  const outcome = attempt(work);
  if (outcome instanceof BangerError) return outcome;
  throw new Error("nothing was thrown");
}
