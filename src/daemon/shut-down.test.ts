import { expect, test } from "bun:test";
import { createLog } from "./log.ts";
import { type Part, shutDown } from "./shut-down.ts";

function createBench(): {
  part: (what: string, end?: Part["end"]) => Part;
  ended: string[];
  lines: string[];
} {
  const ended: string[] = [];
  const part = (what: string, end: Part["end"] = () => undefined): Part => ({
    what,
    end: () => {
      ended.push(what);
      return end();
    },
  });
  return { part, ended, lines: [] };
}

const fail = (): never => {
  throw new Error("no");
};

test("shutDown() ends one stage after the other, and is content", async () => {
  const { part, ended } = createBench();
  const first = Promise.withResolvers<void>();
  const ending = shutDown([[part("a", () => first.promise), part("b")], [part("c")]], {
    log: { error: fail },
  });
  expect(ended).toEqual(["a", "b"]);
  first.resolve();
  expect(await ending).toBe(true);
  expect(ended).toEqual(["a", "b", "c"]);
});

test("shutDown() goes on behind parts that throw, reject or never end, and says which", async () => {
  const { part, ended, lines } = createBench();
  const log = createLog("info", (line) => lines.push(line));
  const never = new Promise<void>(() => undefined);
  const stages = [
    [part("the thrower", fail)],
    [part("the liar", async () => fail()), part("the sleeper", () => never)],
    [part("the last")],
  ];
  expect(await shutDown(stages, { log, limitMs: 20 })).toBe(false);
  expect(ended).toEqual(["the thrower", "the liar", "the sleeper", "the last"]);
  expect(lines).toHaveLength(3);
  for (const [at, what] of ["the thrower", "the liar", "the sleeper"].entries())
    expect(lines[at]).toContain(`${what} could not be ended`);
});

test("shutDown() needs no log that can be written", async () => {
  const { part, ended } = createBench();
  expect(await shutDown([[part("a", fail)], [part("b")]], { log: { error: fail } })).toBe(false);
  expect(ended).toEqual(["a", "b"]);
});
