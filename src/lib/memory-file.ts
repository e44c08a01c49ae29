/** Files that are nowhere but in memory (memfd_create(2)). */
import { closeSync, readFileSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { memfdCreate } from "./libc.ts";

/** Makes an empty one for reading and writing; it is gone when the caller closes it. `name` is for people who look at /proc. */
export async function openMemoryFile(name: string): Promise<FileHandle> {
  const fd = memfdCreate(name);
  try {
    return await open(`/proc/self/fd/${fd}`, "r+");
  } finally {
    closeSync(fd);
  }
}

/** What a program may still take without pushing others out (proc(5), /proc/meminfo, MemAvailable). */
export function availableMemoryBytes(): number {
  const kib = /^MemAvailable:\s+([0-9]+) kB$/m.exec(readFileSync("/proc/meminfo", "utf8"))?.[1];
  return Number(kib ?? 0) * 1024;
}
