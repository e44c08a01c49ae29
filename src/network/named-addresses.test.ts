/** Answers for allowed names in the rules: nothing is there that is not known, however much a guest asks. */
import { expect, test } from "bun:test";
import { parseNetworkRule } from "../model/network-rule.ts";
import { NamedAddresses } from "./named-addresses.ts";

const VM = { address: "172.16.0.2" };

/** The sets of the kernel, as scripts change them. */
function createSets(): { readonly all: Set<string>; readonly apply: (script: string) => Promise<void> } {
  const all = new Set<string>();
  const apply = async (script: string): Promise<void> => {
    for (const line of script.split("\n").filter((text) => text !== "")) {
      const [, verb, set, key = ""] = /^(add|delete) element (.+) \{ (.+) \}$/.exec(line) ?? [];
      if (verb === "add") all.add(`${set} ${key.replace(/ timeout \d+s$/, "")}`);
      else if (verb === "delete") all.delete(`${set} ${key}`);
      else throw new Error(`not understood: ${line}`);
    }
    await Promise.resolve();
  };
  return { all, apply };
}

function answer(from: number, count: number) {
  const addresses = Array.from({ length: count }, (_, at) => {
    const number = from + at;
    return `5.${(number >> 16) & 255}.${(number >> 8) & 255}.${number & 255}`;
  });
  return { rules: [parseNetworkRule("*.example.com:443/tcp", "allow")], addresses, ttlS: 3_600 };
}

test("what a guest's answers push out leaves the rules, too", async () => {
  const { all, apply } = createSets();
  const named = new NamedAddresses(apply, () => 0);
  for (let from = 0; from < 12_000; from += 500) await named.allow(VM, answer(from, 500));
  expect(all.size).toBe(4_096);
  expect(
    named
      .of(VM.address)
      .map(({ set, key }) => `${set} ${key}`)
      .toSorted(),
  ).toEqual([...all].toSorted());
  // The latest are among them.
  expect(named.holds(VM, answer(11_500, 500))).toBe(true);
  expect(named.holds(VM, answer(0, 1))).toBe(false);
});

test("an answer of more addresses than a guest may have is cut", async () => {
  const { all, apply } = createSets();
  const named = new NamedAddresses(apply, () => 0);
  await named.allow(VM, answer(0, 3));
  await named.allow(VM, answer(100, 10_000));
  expect(all.size).toBe(4_096);
  expect(named.of(VM.address).length).toBe(4_096);
});

test("what is held already is made anew in its place, and pushes nothing out", async () => {
  const { all, apply } = createSets();
  let now = 0;
  const named = new NamedAddresses(apply, () => now);
  await named.allow(VM, answer(0, 4_096));
  now = 1_800_000;
  await named.allow(VM, answer(0, 10));
  expect(all.size).toBe(4_096);
  expect(named.holds(VM, answer(0, 10))).toBe(true);
  expect(named.of(VM.address).length).toBe(4_096);
});
