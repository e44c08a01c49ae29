/** How the guest's devices are named at Firecracker and recognised in the guest. */
import { type BigIntStats, statSync } from "node:fs";
import { BangerError } from "../../model/errors.ts";
import type { Disk } from "../../model/machine.ts";

export interface DiskSerial {
  readonly id: string;
  readonly serial: string;
}

/** VIRTIO_BLK_ID_BYTES (virtio 1.2, section 5.2.6.1). */
const SERIAL_BYTES = 20;

/**
 * What each disk's virtio serial will be. Firecracker lets nobody choose it: it writes the numbers of the file's device, of the
 * device it is, and of its inode one after the other, and cuts them off (DiskProperties in its block/virtio/device.rs). A hard link in
 * a jail is the same file. Errors: `unavailable` (no such file; two disks that could not be told apart).
 */
export function diskSerials(disks: readonly Disk[]): readonly DiskSerial[] {
  const serials = disks.map(({ id, path }) => ({ id, serial: serialOf(path) }));
  const twin = serials.find(
    (one, index) => serials.findIndex((other) => other.serial === one.serial) < index,
  );
  if (twin !== undefined) {
    throw new BangerError("unavailable", `Firecracker would give the disk ${twin.id} the serial of another`, {
      cure: "put the disks on different file systems, or use another driver",
      details: { serials },
    });
  }
  return serials;
}

/** What the API accepts as the id of a drive or a network interface: letters, digits and `_`. Ours have no `_`, so none collide. */
export function apiId(id: string): string {
  return id.replaceAll("-", "_");
}

function serialOf(path: string): string {
  let stats: BigIntStats;
  try {
    stats = statSync(path, { bigint: true });
  } catch (cause) {
    throw new BangerError("unavailable", `cannot open the disk ${path}`, { cause });
  }
  return `${stats.dev}${stats.rdev}${stats.ino}`.slice(0, SERIAL_BYTES);
}
