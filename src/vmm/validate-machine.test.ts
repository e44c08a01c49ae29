import { describe, expect, test } from "bun:test";
import { BangerError } from "../model/errors.ts";
import type { Machine } from "../model/machine.ts";
import { validateMachine } from "./validate-machine.ts";

const DISK = { id: "disk", path: "/d", readOnly: false };
const NIC = { id: "net0", mac: "52:54:00:00:00:01", tap: "tap0" };

const machine: Machine = {
  id: "a1b2c3",
  vcpus: 1,
  memoryMib: 64,
  kernelPath: "/k",
  initramfsPath: "/i",
  cmdline: ["quiet", 'foo="'.slice(0, 3)],
  disks: [{ ...DISK, rate: { bytesPerSecond: 2 ** 20, opsPerSecond: 50 } }],
  nics: [{ ...NIC, rate: { bytesPerSecond: 2 ** 40 } }],
  consolePath: "/c",
};

describe("validateMachine()", () => {
  test("accepts a machine that makes sense", () => {
    expect(() => validateMachine(machine)).not.toThrow();
  });

  test.each<[string, Partial<Machine>]>([
    ["id", { id: "a,b" }],
    ["id", { id: "" }],
    ["vcpus", { vcpus: 0 }],
    ["vcpus", { vcpus: 256 }],
    ["memoryMib", { memoryMib: 1.5 }],
    ["kernelPath", { kernelPath: "vmlinux" }],
    ["consolePath", { consolePath: "/a\0b" }],
    ["cmdline", { cmdline: ["init=/bin/sh root=/dev/vda"] }],
    ["cmdline", { cmdline: ['a="b'] }],
    ["cmdline", { cmdline: ["x".repeat(2000)] }],
    ["disks.id", { disks: [{ id: "a".repeat(21), path: "/d", readOnly: true }] }],
    ["disks.path", { disks: [{ id: "a", path: "d", readOnly: true }] }],
    [
      "disks.id",
      {
        disks: [
          { id: "a", path: "/d", readOnly: true },
          { id: "a", path: "/e", readOnly: true },
        ],
      },
    ],
    ["disks.rate.bytesPerSecond", { disks: [{ ...DISK, rate: { bytesPerSecond: 1024 } }] }],
    ["disks.rate.bytesPerSecond", { disks: [{ ...DISK, rate: { bytesPerSecond: 2 ** 41 } }] }],
    ["disks.rate.bytesPerSecond", { disks: [{ ...DISK, rate: { bytesPerSecond: 2 ** 20 + 0.5 } }] }],
    ["disks.rate.opsPerSecond", { disks: [{ ...DISK, rate: { opsPerSecond: Number.NaN } }] }],
    ["disks.rate.opsPerSecond", { disks: [{ ...DISK, rate: { opsPerSecond: 0 } }] }],
    ["nics.rate.bytesPerSecond", { nics: [{ ...NIC, rate: { bytesPerSecond: -1 } }] }],
    ["nics.tap", { nics: [{ id: "net0", mac: "52:54:00:00:00:01", tap: "a,script=/bin/sh" }] }],
    ["nics.mac", { nics: [{ id: "net0", mac: "52:54", tap: "tap0" }] }],
    ["nics.id", { nics: [{ id: "a,b", mac: "52:54:00:00:00:01", tap: "tap0" }] }],
  ])("names the field %s of %o", (field, change) => {
    try {
      validateMachine({ ...machine, ...change });
      expect.unreachable();
    } catch (error) {
      const refusal = BangerError.from(error);
      expect(refusal.code).toBe("invalid_argument");
      expect(refusal.details["field"]).toBe(field);
    }
  });
});
