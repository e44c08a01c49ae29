import { expect, test } from "bun:test";
import { nearest } from "./nearest.ts";

const KEYS = [
  "log_level",
  "boot_timeout",
  "stop_timeout",
  "vm_defaults",
  "vm_defaults.memory",
  "vm_defaults.vcpus",
];

test.each([
  ["log_levl", "log_level"],
  ["loglevel", "log_level"],
  ["lgo_level", "log_level"],
  ["boot_timout", "boot_timeout"],
  ["vm_default", "vm_defaults"],
  ["vm_defaults.memroy", "vm_defaults.memory"],
  ["memory", "vm_defaults.memory"],
  ["memroy", "vm_defaults.memory"],
  ["vcpu", "vm_defaults.vcpus"],
])("nearest() takes %j for %j", (word, meant) => {
  expect(nearest(word, KEYS)).toBe(meant);
});

test.each(["", "x", "color", "something_else_altogether"])("nearest() makes nothing of %j", (word) => {
  expect(nearest(word, KEYS)).toBeUndefined();
});
