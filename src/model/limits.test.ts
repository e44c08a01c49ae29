import { expect, test } from "bun:test";
import { limitsOf } from "./limits.ts";
import { SPEC_LIMITS } from "./spec.ts";

const MIB = 2 ** 20;

test("limitsOf() leaves the hypervisor room above the guest's memory, and a processor above its vCPUs", () => {
  expect(limitsOf({ vcpus: 2, memoryMib: 1024 }, { emulated: false })).toEqual({
    memoryBytes: (1024 + 64 + 256) * MIB,
    cpuCores: 3,
    pids: 512,
    ioWeight: 100,
  });
});

test("an emulated machine has room for all of QEMU's translated code", () => {
  const spec = { vcpus: 1, memoryMib: 512 };
  const difference =
    limitsOf(spec, { emulated: true }).memoryBytes - limitsOf(spec, { emulated: false }).memoryBytes;
  expect(difference).toBe(1024 * MIB);
});

test("the limits of the smallest and the largest VM are whole numbers that JavaScript holds exactly", () => {
  for (const end of ["min", "max"] as const) {
    const spec = { vcpus: SPEC_LIMITS.vcpus[end], memoryMib: SPEC_LIMITS.memoryMib[end] };
    for (const value of Object.values(limitsOf(spec, { emulated: true })))
      expect(Number.isSafeInteger(value)).toBe(true);
  }
});
