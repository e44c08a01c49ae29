/** What is refused before anything is made: the seed's smoke scenarios for bad input. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { createRealHome, type RealHome } from "../support/real-home.ts";

let home: RealHome;
beforeAll(async () => {
  home = await createRealHome({ bare: true });
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

test.each([
  ["--vcpus 0", ["run", "--vcpus", "0"], 2, "--vcpus"],
  ["negative memory", ["run", "--memory", "-1"], 2, "memory"],
  ["an absurd disk", ["create", "--disk", "9999999T"], 2, "disk"],
  ["a name that leaves the directory", ["run", "--name", "box/../evil"], 2, "box/../evil"],
  ["a name of 64 characters", ["create", "--name", "a".repeat(64)], 2, "63"],
  ["an environment without =", ["run", "-e", "FOO", "--", "true"], 2, "FOO"],
  ["-d with --rm", ["run", "-d", "--rm"], 2, "banger run -d"],
  ["-d with a command", ["run", "-d", "--", "true"], 2, "banger run -d"],
  ["an image that nobody knows", ["run", "--image", "nosuchimage", "--", "true"], 125, "nosuchimage"],
] as const)(
  "%s is refused with words that help, and leaves no row and no directory",
  async (_, argv, code, words) => {
    const outcome = await home.banger(argv);
    expect(outcome.stderr).toContain(words);
    expect(outcome.code).toBe(code);
    expect((await home.banger(["ps", "-a", "-q"])).stdout).toBe("");
    expect(readdirSync(join(home.home, "vms"))).toEqual([]);
  },
);
