/**
 * The guest's memory, copied out of the QEMU process: whatever way it is mapped, what the process has to itself is in the process
 * only, and the rest is in the file behind the mapping, which never changes (docs/decisions/0006-qemu-snapshots.md).
 */
import { type FileHandle, open } from "node:fs/promises";
import { type ByteRange, subtractRanges } from "../../lib/byte-ranges.ts";
import { copyRanges } from "../../lib/copy-ranges.ts";
import { availableMemoryBytes, openMemoryFile } from "../../lib/memory-file.ts";
import { mappedFile, openMemory, privateRanges } from "../../lib/process-memory.ts";
import { cloneInto, dataRanges } from "../../lib/sparse-copy.ts";
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

/** What a process has of the guest's memory to itself. */
export interface PrivateRam extends GuestRam {
  /** Relative to `address`. */
  readonly ranges: readonly ByteRange[];
}

/** Errors: those of `findGuestRam` and `privateRanges`. */
export async function privateRam(qmp: QmpClient, pid: number): Promise<PrivateRam> {
  const ram = await findGuestRam(qmp, pid);
  return { ...ram, ranges: await ownRanges(ram) };
}

/** Gives those parts of it the contents that the file `path` has. The guest must not run. Errors: those of `openMemory` and of the file system. */
export async function refillRam({ pid, address, ranges }: PrivateRam, path: string): Promise<void> {
  await using file = await open(path, "r");
  await using memory = await openMemory(pid, { writable: true });
  const places = ranges.map(({ start, end }) => ({ start: address + start, end: address + end }));
  await copyRanges(file, memory, { ranges: places, fromOffset: -address });
}

async function ownRanges({ pid, address, sizeBytes }: GuestRam): Promise<readonly ByteRange[]> {
  return await privateRanges(pid, { start: address, end: address + sizeBytes });
}

/** Opens the file behind the memory, which the caller closes; undefined where there is none. Errors: `unavailable`. */
export async function openBase({ pid, address }: GuestRam): Promise<FileHandle | undefined> {
  const path = mappedFile(pid, address);
  return path === undefined ? undefined : await open(path, "r");
}

/** What only the process had, copied while the machine was paused. The holder disposes it. */
export interface Capture extends AsyncDisposable {
  /** Completes the file: now it is the whole memory. Errors: those of the file system. */
  finish(base: FileHandle | undefined): Promise<void>;
}

/** A capture takes at most this part of the memory that the host has left. */
const MEMORY_SHARE = 1 / 4;

/**
 * Copies what only the process has, for the file `path` (mode 0600, not there yet, made with its full size). The machine must be
 * paused; it may go on afterwards. The copy waits in memory, because a file system that is busy writing back makes writers wait; one that would be too
 * large for that goes into the file at once. Errors: those of `openMemory` and of the file system.
 */
export async function captureRam(ram: GuestRam, path: string): Promise<Capture> {
  const { pid, address, sizeBytes } = ram;
  await using memory = await openMemory(pid);
  const ranges = await ownRanges(ram);
  const bytes = ranges.reduce((sum, { start, end }) => sum + end - start, 0);
  const waits = bytes <= MEMORY_SHARE * availableMemoryBytes();
  await using undo = new AsyncDisposableStack();
  const file = undo.use(await open(path, "wx", 0o600));
  await file.truncate(sizeBytes);
  const copy = waits ? undo.use(await openMemoryFile("guest-memory")) : file;
  if (waits) await copy.truncate(sizeBytes);
  await copyRanges(memory, copy, { ranges, fromOffset: address });
  const held = undo.move();
  return {
    finish: async (base) => {
      if (waits) await writeAll({ copy, target: file, base, ranges });
      else await fillIn({ target: file, base, ranges });
    },
    [Symbol.asyncDispose]: async () => await held.disposeAsync(),
  };
}

interface Parts {
  /** The file that becomes the memory. */
  readonly target: FileHandle;
  readonly base: FileHandle | undefined;
  readonly ranges: readonly ByteRange[];
}

async function writeAll(parts: Parts & { readonly copy: FileHandle }): Promise<void> {
  const { copy, target, base, ranges } = parts;
  const shared = base !== undefined && cloneInto(base.fd, target.fd);
  await copyRanges(copy, target, { ranges });
  if (!shared) await fillIn(parts);
}

/** Copies everything else from the file behind the memory, if there is one. */
async function fillIn({ target, base, ranges }: Parts): Promise<void> {
  if (base === undefined) return;
  const { size } = await target.stat();
  await copyRanges(base, target, { ranges: subtractRanges(dataRanges(base, size), ranges) });
}
