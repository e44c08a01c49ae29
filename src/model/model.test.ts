/** The pure rules: names, quantities, addresses, the state table, errors. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { nextAddress } from "./addresses.ts";
import { BangerError, ERROR_CODES } from "./errors.ts";
import { validateImageName } from "./image-reference.ts";
import { validateVmName, validateVmRef, vmNameFromBytes } from "./names.ts";
import {
  formatBytes,
  formatDurationMs,
  parseDurationMs,
  parseSizeBytes,
  parseSizeMib,
  parseWholeNumber,
} from "./quantities.ts";
import { defaultSize, parseEnvEntry, validateUser, validateWorkdir } from "./spec.ts";
import { decide, OPERATIONS, TABLE } from "./state-machine.ts";
import { VM_STATES } from "./vm.ts";

const BAD_NAMES = [
  "",
  "-a",
  "a-",
  "A",
  "a_b",
  "a.b",
  "a b",
  "box/../evil",
  "..",
  "a\0b",
  "a".repeat(64),
  "ä",
  "a\n",
];

test.each(BAD_NAMES)("validateVmName() refuses %j", (name) => {
  expect(() => validateVmName(name)).toThrow(BangerError);
  expect(() => validateVmRef(name)).toThrow(BangerError);
});

test.each(["a", "0", "web-1", "a".repeat(63), "a--b"])("validateVmName() returns %j unchanged", (name) => {
  expect(validateVmName(name)).toBe(name);
});

test("vmNameFromBytes() makes a valid name of any bytes", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 6, maxLength: 6 }), (bytes) => {
      expect(validateVmName(vmNameFromBytes(bytes))).toMatch(/^[a-z]+-[a-z]+-[0-9a-f]{4}$/);
    }),
  );
});

test.each(["debian", "my.app_1:v2", "a", "a/b", "ghcr.io/some/thing:tag"])(
  "validateImageName() takes %j",
  (name) => {
    expect(validateImageName(name)).toBe(name);
  },
);

test.each(["", "../x", "A", "a//b", "a:", ":a", "a b"])("validateImageName() refuses %j", (name) => {
  expect(() => validateImageName(name)).toThrow("image name");
});

test.each([
  ["512M", 512 * 2 ** 20],
  ["4G", 4 * 2 ** 30],
  ["4GiB", 4 * 2 ** 30],
  ["4gb", 4 * 2 ** 30],
  ["1.5G", 1.5 * 2 ** 30],
  ["512", 512 * 2 ** 20],
  ["64k", 64 * 1024],
])("parseSizeBytes() reads %j as %d", (text, bytes) => {
  expect(parseSizeBytes(text, "--memory")).toBe(bytes);
});

test.each(["", "0", "-1", "1e9", "4X", "G", "4 G x", "99999999T", "0.0000001k", "NaN", "Infinity"])(
  "parseSizeBytes() refuses %j and names the flag",
  (text) => {
    expect(() => parseSizeBytes(text, "--memory")).toThrow("--memory");
  },
);

test("parseSizeMib() rounds up to whole MiB", () => {
  expect(parseSizeMib("1025k", "--disk")).toBe(2);
});

test.each([
  ["500ms", 500],
  ["30s", 30_000],
  ["30", 30_000],
  ["5m", 300_000],
  ["1.5h", 5_400_000],
] as const)("parseDurationMs() reads %j as %d", (text, ms) => {
  expect(parseDurationMs(text, "--timeout")).toBe(ms);
});

test.each(["", "0s", "-5s", "5 minutes", "999999999d"])("parseDurationMs() refuses %j", (text) => {
  expect(() => parseDurationMs(text, "--timeout")).toThrow("--timeout");
});

test.each(["0", "-1", "65", "1.5", "two", ""])("parseWholeNumber() refuses %j for 1 to 64", (text) => {
  expect(() => parseWholeNumber(text, "--vcpus", { min: 1, max: 64 })).toThrow("--vcpus");
});

test("formatBytes() and formatDurationMs() use the unit that a person would", () => {
  expect([512, 2 ** 20 * 1.5, 2 ** 33].map(formatBytes)).toEqual(["512 B", "1.5 MiB", "8 GiB"]);
  expect([850, 4321, 720_000, 7_200_000, 2 * 86_400_000].map(formatDurationMs)).toEqual([
    "850 ms",
    "4.3 s",
    "12 min",
    "2 h",
    "2 d",
  ]);
});

test("parseEnvEntry() splits at the first = and refuses what is no assignment", () => {
  expect(parseEnvEntry("A=b=c")).toEqual(["A", "b=c"]);
  expect(parseEnvEntry("A=")).toEqual(["A", ""]);
  for (const bad of ["A", "=b", "1A=b", "A B=c", "A=b\0c"])
    expect(() => parseEnvEntry(bad)).toThrow("KEY=VALUE");
});

test.each(["root", "1000", "www-data", "1000:1000", "a:b"])("validateUser() takes %j", (user) => {
  expect(validateUser(user)).toBe(user);
});

test.each(["", "a b", "a:", ":b", "-x", "a:b:c", "ü"])("validateUser() refuses %j", (user) => {
  expect(() => validateUser(user)).toThrow("user");
});

test("validateWorkdir() takes absolute paths only", () => {
  expect(validateWorkdir("/srv")).toBe("/srv");
  for (const bad of ["srv", "", "/a\0b"]) expect(() => validateWorkdir(bad)).toThrow("absolute");
});

test("defaultSize() takes a quarter of the cores and an eighth of the memory, within bounds", () => {
  expect(defaultSize({ cores: 2, memoryMib: 2048 })).toEqual({ vcpus: 1, memoryMib: 512, diskMib: 8192 });
  expect(defaultSize({ cores: 8, memoryMib: 32_768 })).toMatchObject({ vcpus: 2, memoryMib: 4096 });
  expect(defaultSize({ cores: 128, memoryMib: 1_000_000 })).toMatchObject({ vcpus: 4, memoryMib: 8192 });
});

test("nextAddress() gives the lowest free address and never network, host or broadcast", () => {
  expect(nextAddress("10.1.2.0/24", new Set())).toBe("10.1.2.2");
  expect(nextAddress("10.1.2.77/24", new Set(["10.1.2.2"]))).toBe("10.1.2.3");
  const used = new Set<string>();
  for (let i = 0; i < 5; i += 1) used.add(nextAddress("10.0.0.0/29", used));
  expect([...used]).toEqual(["10.0.0.2", "10.0.0.3", "10.0.0.4", "10.0.0.5", "10.0.0.6"]);
  expect(() => nextAddress("10.0.0.0/29", used)).toThrow("all 5 guest addresses");
});

test.each(["10.0.0.0", "10.0.0.0/31", "256.0.0.0/24", "x/24"])(
  "nextAddress() refuses the pool %j",
  (pool) => {
    expect(() => nextAddress(pool, new Set())).toThrow("pool");
  },
);

test.each(OPERATIONS.flatMap((operation) => VM_STATES.map((state) => [operation, state] as const)))(
  "decide(%s) in state %s says go, done, or why not and what to do",
  (operation, state) => {
    const verdict = TABLE[operation][state];
    const attempt = (): boolean => decide(operation, { name: "web", state });
    if (verdict === "go") return expect(attempt()).toBe(true);
    if (verdict === "done") return expect(attempt()).toBe(false);
    try {
      attempt();
    } catch (error) {
      expect(error).toBeInstanceOf(BangerError);
      const { code, message, cure } = error as BangerError;
      expect(code).toBe("failed_precondition");
      expect(message).toContain(state);
      expect(cure).toBeString();
      expect(cure).not.toContain("NAME");
      return undefined;
    }
    throw new Error("nothing was refused");
  },
);

test("BangerError survives the way over the wire, for every code", () => {
  for (const code of ERROR_CODES) {
    const error = new BangerError(code, "what happened", { cure: "do this", details: { a: 1 } });
    const again = BangerError.fromBody(JSON.parse(JSON.stringify(error.toBody())));
    expect(again.toBody()).toEqual(error.toBody());
  }
});

test("BangerError.from() keeps ours, and calls what nobody translated internal", () => {
  const ours = new BangerError("timeout", "late");
  expect(BangerError.from(ours)).toBe(ours);
  expect(BangerError.from(new TypeError("x is not a function"))).toMatchObject({ code: "internal" });
  expect(BangerError.from("thrown text")).toMatchObject({ code: "internal", message: "thrown text" });
});
