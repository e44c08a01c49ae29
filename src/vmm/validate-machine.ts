/** What every driver demands of a machine before it touches anything. */
import { BangerError } from "../model/errors.ts";
import { RATE_LIMITS } from "../model/limits.ts";
import type { Machine, Rate } from "../model/machine.ts";

const ID = /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/;
/** A virtio-blk serial holds 20 bytes (virtio 1.2, section 5.2.6.1, VIRTIO_BLK_T_GET_ID). */
const DISK_ID = /^[a-z0-9-]{1,20}$/;
const NIC_ID = /^[a-z0-9-]{1,32}$/;
const MAC = /^[0-9a-f]{2}(?::[0-9a-f]{2}){5}$/;
/** IFNAMSIZ is 16 with its final zero (netdevice(7)). */
const TAP = /^[A-Za-z0-9_.-]{1,15}$/;
/** The kernel's COMMAND_LINE_SIZE on x86 is 2048; what drivers add is well under the rest. */
const MAX_CMDLINE_BYTES = 1536;
// Anything printable but space and quotes: one argument stays one, and no other is smuggled in.
const CMDLINE_ARGUMENT = /^[!#-&(-~]+$/;

/** Errors: `invalid_argument`, naming the field. */
export function validateMachine(machine: Machine): void {
  demand(ID.test(machine.id), "id", machine.id);
  demand(isCount(machine.vcpus) && machine.vcpus <= 255, "vcpus", machine.vcpus);
  demand(isCount(machine.memoryMib), "memoryMib", machine.memoryMib);
  for (const key of ["kernelPath", "initramfsPath", "consolePath"] as const) demandPath(key, machine[key]);
  for (const argument of machine.cmdline) demand(CMDLINE_ARGUMENT.test(argument), "cmdline", argument);
  demand(machine.cmdline.join(" ").length <= MAX_CMDLINE_BYTES, "cmdline", machine.cmdline.join(" "));
  demandUnique("disks", machine.disks);
  for (const disk of machine.disks) {
    demand(DISK_ID.test(disk.id), "disks.id", disk.id);
    demandPath("disks.path", disk.path);
    demandRate("disks.rate", disk.rate);
  }
  demandUnique("nics", machine.nics);
  for (const nic of machine.nics) {
    demand(NIC_ID.test(nic.id), "nics.id", nic.id);
    demand(MAC.test(nic.mac), "nics.mac", nic.mac);
    demand(TAP.test(nic.tap), "nics.tap", nic.tap);
    demandRate("nics.rate", nic.rate);
    if (nic.netns !== undefined) demandPath("nics.netns", nic.netns);
  }
}

function demandPath(field: string, path: string): void {
  demand(path.startsWith("/") && !path.includes("\0"), field, path);
}

function demandRate(field: string, rate: Rate | undefined): void {
  for (const key of ["bytesPerSecond", "opsPerSecond"] as const) {
    const value = rate?.[key];
    const { min, max } = RATE_LIMITS[key];
    const isSane = value === undefined || (Number.isSafeInteger(value) && value >= min && value <= max);
    demand(isSane, `${field}.${key}`, value);
  }
}

function demandUnique(field: string, items: readonly { readonly id: string }[]): void {
  const ids = items.map((item) => item.id);
  demand(new Set(ids).size === ids.length, `${field}.id`, ids.join(" "));
}

function isCount(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 1;
}

function demand(condition: boolean, field: string, value: unknown): asserts condition {
  if (condition) return;
  throw new BangerError("invalid_argument", `the machine's ${field} is not valid: ${String(value)}`, {
    details: { field, value },
  });
}
