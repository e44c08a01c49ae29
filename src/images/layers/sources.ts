/** One number for an entry of a layer: a double holds both counts exactly, and costs no object. */
const ENTRIES_PER_LAYER = 2 ** 32;

export function sourceOf(layer: number, ordinal: number): number {
  return layer * ENTRIES_PER_LAYER + ordinal;
}

export function splitSource(source: number): { readonly layer: number; readonly ordinal: number } {
  return { layer: Math.floor(source / ENTRIES_PER_LAYER), ordinal: source % ENTRIES_PER_LAYER };
}
