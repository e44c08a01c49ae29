/**
 * The memory of another process, as /proc shows it (proc(5); the kernel's Documentation/admin-guide/mm/pagemap.rst). Whoever
 * looks is the same user; reading needs ptrace access, too.
 */
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { BangerError } from "../model/errors.ts";
import { type ByteRange, joinRanges } from "./byte-ranges.ts";

const PAGE_BYTES = 4096;
const ENTRY_BYTES = 8;
/** Page map entries read at once: 512 MiB of memory. */
const BATCH_PAGES = 131_072;
/** Bits 62 and 63 of an entry, in its upper half: swapped out, present. */
const THERE = 0xc000_0000;
/** Bit 61: a page of a file or of shared memory. */
const OF_FILE = 0x2000_0000;
/** Reading over a gap of so many pages is cheaper than starting anew after it. */
const MAX_GAP_BYTES = 16 * PAGE_BYTES;

/**
 * Which parts of `memory` the process has to itself: written to since it was mapped, and so not as in the file behind a private
 * mapping (or, without a file, not zero). Some pages beside them may be included. Relative to `memory.start`.
 */
export async function privateRanges(pid: number, memory: ByteRange): Promise<readonly ByteRange[]> {
  await using map = await openOf(pid, "pagemap");
  const ranges: ByteRange[] = [];
  const pages = (memory.end - memory.start) / PAGE_BYTES;
  const firstPage = memory.start / PAGE_BYTES;
  for (let page = 0; page < pages; page += BATCH_PAGES) {
    const entries = new Uint32Array(2 * Math.min(BATCH_PAGES, pages - page));
    const { bytesRead } = await map.read(entries, 0, entries.byteLength, (firstPage + page) * ENTRY_BYTES);
    if (bytesRead !== entries.byteLength) throw ended(pid);
    for (let index = 0; index < entries.length / 2; index += 1) {
      const entry = entries[2 * index + 1] ?? 0;
      if ((entry & THERE) === 0 || (entry & OF_FILE) !== 0) continue;
      const start = (page + index) * PAGE_BYTES;
      const last = ranges.at(-1);
      if (last?.end === start) ranges[ranges.length - 1] = { start: last.start, end: start + PAGE_BYTES };
      else ranges.push({ start, end: start + PAGE_BYTES });
    }
  }
  return joinRanges(ranges, MAX_GAP_BYTES);
}

/** Opens the memory for reading at addresses, and writing. The caller closes it. Errors: `permission_denied`, `unavailable`. */
export async function openMemory(
  pid: number,
  { writable = false }: { readonly writable?: boolean } = {},
): Promise<FileHandle> {
  return await openOf(pid, "mem", writable ? "r+" : "r");
}

/**
 * A path by which the file mapped at `address` can be opened, whether or not it still has a name; undefined for memory that no
 * file is behind. The process holds the file open, beside mapping it. Errors: `unavailable`.
 */
export function mappedFile(pid: number, address: number): string | undefined {
  const mapping = readMappings(pid).find(({ start, end }) => start <= address && address < end);
  if (mapping === undefined) throw ended(pid);
  if (mapping.inode === "0") return undefined;
  const directory = `/proc/${pid}/fd`;
  const path = readdirSync(directory)
    .map((name) => `${directory}/${name}`)
    .find((candidate) => {
      // One that was closed meanwhile is none of ours. btrfs gives stat(2) another device than the map, so names are compared.
      const status = statSync(candidate, { bigint: true, throwIfNoEntry: false });
      return String(status?.ino) === mapping.inode && readlinkSync(candidate) === mapping.path;
    });
  if (path !== undefined) return path;
  throw new BangerError("unavailable", `process ${pid} does not hold open the file behind its memory`);
}

interface Mapping extends ByteRange {
  readonly inode: string;
  /** As a link of /proc/PID/fd has it, ` (deleted)` included; empty without a file. */
  readonly path: string;
}

function readMappings(pid: number): readonly Mapping[] {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/maps`, "utf8");
  } catch (cause) {
    throw ended(pid, cause);
  }
  return text.split("\n").flatMap((line) => {
    const match = /^([0-9a-f]+)-([0-9a-f]+) \S+ \S+ \S+ ([0-9]+) *(.*)$/.exec(line);
    if (match === null) return [];
    const [, start = "", end = "", inode = "", path = ""] = match;
    return [{ start: Number.parseInt(start, 16), end: Number.parseInt(end, 16), inode, path }];
  });
}

async function openOf(pid: number, name: "mem" | "pagemap", flags: "r" | "r+" = "r"): Promise<FileHandle> {
  try {
    return await open(`/proc/${pid}/${name}`, flags);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code !== "EACCES" && code !== "EPERM") throw ended(pid, error);
    throw new BangerError(
      "permission_denied",
      `the host does not let banger read the memory of process ${pid}`,
      {
        cure: "as root: sysctl kernel.yama.ptrace_scope=0; or stop the VM and start it again",
        cause: error,
      },
    );
  }
}

function ended(pid: number, cause?: unknown): BangerError {
  return new BangerError("unavailable", `the process ${pid} has ended`, { cause });
}
