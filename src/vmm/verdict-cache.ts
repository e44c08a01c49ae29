/**
 * Remembers what was found out about this host by running something, in one JSON file. It is a cache: a file that is
 * missing, corrupt or of another version is an empty one, and may be deleted at any time.
 */
import { mkdirSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { replaceFileDurably } from "../lib/durable-file.ts";

const VERSION = 1;
/** Older entries are dropped: they belong to earlier boots and programs. */
const MAX_ENTRIES = 16;

export interface VerdictCache {
  get(key: string): unknown;
  /** Replaces the file as a whole; of two writers at once one wins, and the other's entry is found out again later. */
  set(key: string, value: unknown): void;
}

export function createVerdictCache(path: string): VerdictCache {
  return {
    get: (key) => new Map(readEntries(path)).get(key),
    set(key, value) {
      const others = readEntries(path).filter(([known]) => known !== key);
      const entries = [...others, [key, value]].slice(-MAX_ENTRIES);
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
      const text = `${JSON.stringify({ version: VERSION, entries })}\n`;
      replaceFileDurably(path, text, `${path}.${process.pid}`);
    },
  };
}

function readEntries(path: string): readonly (readonly [string, unknown])[] {
  let parsed: unknown;
  try {
    parsed = JSON.parse(readFileSync(path, "utf8"));
  } catch (error) {
    // Missing, or cut short by a crash: found out again.
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  if (typeof parsed !== "object" || parsed === null) return [];
  const { version, entries } = parsed as { version?: unknown; entries?: unknown };
  return version === VERSION && Array.isArray(entries) ? entries.filter(isEntry) : [];
}

function isEntry(value: unknown): value is readonly [string, unknown] {
  return Array.isArray(value) && value.length === 2 && typeof value[0] === "string";
}
