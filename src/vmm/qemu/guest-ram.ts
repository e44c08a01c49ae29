/**
 * The guest's memory, copied out of the QEMU process: whatever way it is mapped, what the process has to itself is in the process
 * only, and the rest is in the file behind the mapping, which never changes (docs/decisions/0006-qemu-snapshots.md).
 */
import { type FileHandle, open } from "node:fs/promises";
import { type ByteRange, subtractRanges } from "../../lib/byte-ranges.ts";
import { copyRanges } from "../../lib/copy-ranges.ts";
import { mappedFile, openMemory, privateRanges } from "../../lib/process-memory.ts";
import { dataRanges, shareBlocks } from "../../lib/sparse-copy.ts";
import { BangerError } from "../../model/errors.ts";
import type { QmpClient } from "./qmp.ts";

export interface GuestRam {
  readonly pid: number;
  /** Where it is in the process's address space. */
  readonly address: number;
  readonly sizeBytes: number;
}

/** Finds the memory of a running QEMU. Errors: those of QMP; `internal` when QEMU says something else. */
export async function findGuestRam(qmp: QmpClient, pid: number): Promise<GuestRam> {
  const [place, summary] = await Promise.all([
    qmp.execute("human-monitor-command", { "command-line": "gpa2hva 0" }),
    qmp.execute("query-memory-size-summary"),
  ]);
  const address = /is 0x([0-9a-f]+)/.exec(String(place))?.[1];
  const sizeBytes = (summary as { "base-memory"?: unknown } | undefined)?.["base-memory"];
  if (address === undefined || typeof sizeBytes !== "number") {
    throw new BangerError("internal", `QEMU does not say where its guest's memory is: ${String(place)}`);
  }
  return { pid, address: Number.parseInt(address, 16), sizeBytes };
}

/** Opens the file behind the memory, which the caller closes; undefined where there is none. Errors: `unavailable`. */
export async function openBase({ pid, address }: GuestRam): Promise<FileHandle | undefined> {
  const path = mappedFile(pid, address);
  return path === undefined ? undefined : await open(path, "r");
}

export interface Capture {
  /** What the process had to itself; it is in the file. */
  readonly captured: readonly ByteRange[];
  /** The rest is in the file, too. */
  readonly whole: boolean;
}

/**
 * Makes the file `path` (mode 0600, not there yet) as large as the memory, with everything in it that only the process has. The
 * machine must be paused. Errors: those of `openMemory` and of the file system.
 */
export async function captureRam(
  ram: GuestRam,
  path: string,
  base: FileHandle | undefined,
): Promise<Capture> {
  const { pid, address, sizeBytes } = ram;
  const shared = base !== undefined && (await shareBlocks(`/proc/self/fd/${base.fd}`, path));
  await using memory = await openMemory(pid);
  await using target = await open(path, shared ? "r+" : "wx", 0o600);
  await target.truncate(sizeBytes);
  const captured = await privateRanges(pid, { start: address, end: address + sizeBytes });
  await copyRanges(memory, target, { ranges: captured, fromOffset: address });
  return { captured, whole: shared || base === undefined };
}

/** Completes the file with what `base` has. Errors: those of the file system. */
export async function copyRest(
  path: string,
  base: FileHandle,
  captured: readonly ByteRange[],
): Promise<void> {
  await using target = await open(path, "r+");
  const { size } = await target.stat();
  await copyRanges(base, target, { ranges: subtractRanges(dataRanges(base, size), captured) });
}
