/** Reads `.git/index` (gitformat-index(5)), versions 2 and 3. A guest may have written it. */
export interface RawEntry {
  readonly name: Buffer;
  /** What it says but for the state of the file: mode, object, flags. */
  readonly meaning: string;
  /** Where it is in the file. */
  readonly start: number;
  readonly end: number;
}

/** In the order of the file; undefined for what is no index, or one of another version. */
export function parseIndex(bytes: Buffer, format: "sha1" | "sha256"): RawEntry[] | undefined {
  if (bytes.length < 12 || bytes.toString("latin1", 0, 4) !== "DIRC") return undefined;
  const version = bytes.readUInt32BE(4);
  const count = bytes.readUInt32BE(8);
  if (version !== 2 && version !== 3) return undefined;
  const hash = format === "sha1" ? 20 : 32;
  const entries: RawEntry[] = [];
  let start = 12;
  for (let at = 0; at < count; at += 1) {
    if (start + 42 + hash > bytes.length) return undefined;
    const flags = bytes.readUInt16BE(start + 40 + hash);
    const isExtended = (flags & 0x4000) !== 0;
    const nameAt = start + 42 + hash + (isExtended ? 2 : 0);
    const nameEnd = bytes.indexOf(0, nameAt);
    const end = start + ((nameEnd - start + 8) & ~7);
    if (nameEnd < nameAt || end > bytes.length - hash) return undefined;
    const extended = isExtended ? bytes.readUInt16BE(nameAt - 2) : 0;
    const oid = bytes.toString("hex", start + 40, start + 40 + hash);
    // The length of the name is in the flags, too.
    const meaning = `${bytes.readUInt32BE(start + 24).toString(8)} ${oid} ${flags & 0xb000} ${extended}`;
    entries.push({ name: bytes.subarray(nameAt, nameEnd), meaning, start, end });
    start = end;
  }
  return entries;
}

/** Whether two indexes say the same of everything. */
export function isSameIndex(a: readonly RawEntry[], b: readonly RawEntry[]): boolean {
  return (
    a.length === b.length &&
    a.every(({ name, meaning }, at) => {
      const other = b[at];
      return other !== undefined && meaning === other.meaning && name.equals(other.name);
    })
  );
}
