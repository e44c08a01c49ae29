/** The rate of a disk, as a real guest feels it. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Disk } from "../../src/model/machine.ts";
import { RealGuests } from "../support/real-guests.ts";

const MIB = 2 ** 20;

test("a disk with a rate takes as long as the rate says, also when it has grown, and one without does not", async () => {
  using scratch = new DisposableStack();
  const directory = mkdtempSync(join(tmpdir(), "banger-rates-"));
  scratch.defer(() => rmSync(directory, { recursive: true }));
  const disk = (id: string, rate: Partial<Disk>): Disk => {
    const path = join(directory, id);
    writeFileSync(path, "");
    truncateSync(path, 16 * MIB);
    return { id, path, readOnly: false, ...rate };
  };
  await using guests = await RealGuests.create(256);
  const guest = await guests.boot([
    disk("plain", {}),
    disk("bytes", { rate: { bytesPerSecond: 4 * MIB } }),
    disk("ops", { rate: { opsPerSecond: 50 } }),
  ]);
  const device = (id: string): string =>
    `$(for d in /sys/block/vd*; do test "$(cat $d/serial)" = ${id} && echo /dev/\${d##*/}; done)`;
  const dd = async (id: string, options: string): Promise<number> => {
    const since = performance.now();
    await guest.sh(`dd if=/dev/zero of=${device(id)} oflag=direct ${options} 2>&1`);
    return performance.now() - since;
  };
  await dd("plain", "bs=1M count=1");
  // The host's own disk may be busy for a moment; a rate would hold all three back.
  const plainMs = Math.min(
    await dd("plain", "bs=1M count=8"),
    await dd("plain", "bs=1M count=8"),
    await dd("plain", "bs=1M count=8"),
  );
  const bytesMs = await dd("bytes", "bs=1M count=8");
  const opsMs = await dd("ops", "bs=4k count=100");
  // Two seconds each, less a burst of a tenth of a second's worth.
  expect(bytesMs).toBeGreaterThan(1500);
  expect(opsMs).toBeGreaterThan(1500);
  expect(plainMs).toBeLessThan(bytesMs);

  truncateSync(join(directory, "bytes"), 32 * MIB);
  await guest.running.diskGrown("bytes", 32 * MIB);
  expect(await guest.sh(`blockdev --getsize64 ${device("bytes")}`)).toBe(String(32 * MIB));
}, 240_000);
