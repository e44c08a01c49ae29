/** For the tests of this room: a tar read into a list, its entries with their contents. */
import type { TarEntry } from "./entry.ts";
import { ImageBudget, type ImageLimits } from "./limits.ts";
import { TarReader } from "./reader.ts";

export interface ReadEntry extends TarEntry {
  readonly content: Buffer;
}

/** Feeds the bytes in pieces of `step`. Errors: those of the reader. */
export function readTar(
  bytes: Buffer,
  options: { readonly step?: number; readonly limits?: ImageLimits; readonly marked?: boolean } = {},
): ReadEntry[] {
  const entries: ReadEntry[] = [];
  let open: TarEntry | undefined;
  let parts: Uint8Array[] = [];
  const reader = new TarReader(
    {
      entry: (entry) => {
        open = entry;
        parts = [];
        return true;
      },
      data: (part) => void parts.push(part),
      zeros: (count) => void parts.push(Buffer.alloc(Math.min(count, 1e8))),
      end: () => {
        if (open !== undefined) entries.push({ ...open, content: Buffer.concat(parts) });
        open = undefined;
      },
    },
    new ImageBudget(options.limits),
  );
  const { step = bytes.length || 1 } = options;
  for (let at = 0; at < bytes.length; at += step) reader.push(bytes.subarray(at, at + step));
  reader.end({ marked: options.marked ?? true });
  return entries;
}
