/** Notes for people beside an answer of bytes: they stand in a header, for the bytes are somebody's file. */

/** A JSON array of texts, in ASCII; absent: there are none. */
export const NOTES_HEADER = "banger-notes";

/** Bytes of the header; clients take few of a header altogether. */
const MAX_BYTES = 4096;
/** Characters of one note: the names in it are of any length. */
const MAX_NOTE = 500;

/** The header's value; undefined: nothing is to be said. What has no room is counted. */
export function encodeNotes(notes: readonly string[]): string | undefined {
  if (notes.length === 0) return undefined;
  const cut = notes.map((note) => (note.length <= MAX_NOTE ? note : `${note.slice(0, MAX_NOTE)}…`));
  for (let kept = cut.length; kept > 0; kept -= 1) {
    const left = cut.length - kept;
    const value = ascii([...cut.slice(0, kept), ...(left === 0 ? [] : [`and ${left} more of this kind`])]);
    if (value.length <= MAX_BYTES) return value;
  }
  return ascii([`${cut.length} things are left out`]);
}

/** Takes a header for what it says; nothing of one that is no list. */
export function decodeNotes(value: string | undefined): readonly string[] {
  if (value === undefined) return [];
  try {
    const notes: unknown = JSON.parse(value);
    return Array.isArray(notes) ? notes.filter((note) => typeof note === "string") : [];
  } catch {
    // A daemon of another version, which has other notes: they are for people, and the bytes are whole without them.
    return [];
  }
}

function ascii(notes: readonly string[]): string {
  const escape = (char: string): string => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`;
  return JSON.stringify(notes).replaceAll(/[^\x20-\x7e]/g, escape);
}
