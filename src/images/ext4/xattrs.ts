/** Extended attributes of ext4, in the inode and in a block of their own (Documentation/filesystems/ext4/attributes.rst). */
import { damaged } from "./layout.ts";

const MAGIC = 0xea020000;
const BLOCK_HEADER_BYTES = 32;

/** ACLs (2, 3) are left out: no root file system of ours can hold them. */
const PREFIXES: Readonly<Record<number, string>> = { 1: "user.", 4: "trusted.", 6: "security." };

/** Name and value, one character a byte. */
export type Xattr = readonly [name: string, value: string];

/** Those behind the fields of an inode. Errors: `invalid_argument`. */
export function parseInodeXattrs(rest: Buffer): Xattr[] {
  if (rest.length < 8 || rest.readUInt32LE(0) !== MAGIC) return [];
  const entries = rest.subarray(4);
  return parseEntries(entries, entries);
}

/** Those of a block. Errors: `invalid_argument`. */
export function parseBlockXattrs(block: Buffer): Xattr[] {
  if (block.readUInt32LE(0) !== MAGIC) throw damaged("a block of attributes has no magic");
  return parseEntries(block.subarray(BLOCK_HEADER_BYTES), block);
}

/** Offsets of values count from the start of `base`. */
function parseEntries(entries: Buffer, base: Buffer): Xattr[] {
  const found: Xattr[] = [];
  for (let at = 0; at + 4 <= entries.length && entries.readUInt32LE(at) !== 0; ) {
    if (at + 16 > entries.length) throw damaged("an attribute is cut");
    const nameBytes = entries.readUInt8(at);
    const prefix = PREFIXES[entries.readUInt8(at + 1)];
    const valueAt = entries.readUInt16LE(at + 2);
    const valueInode = entries.readUInt32LE(at + 4);
    const valueBytes = entries.readUInt32LE(at + 8);
    const nameEnd = at + 16 + nameBytes;
    if (nameEnd > entries.length || valueInode !== 0 || valueAt + valueBytes > base.length)
      throw damaged("an attribute lies outside of its block");
    if (prefix !== undefined) {
      const name = entries.toString("latin1", at + 16, nameEnd);
      found.push([`${prefix}${name}`, base.toString("latin1", valueAt, valueAt + valueBytes)]);
    }
    at = nameEnd + ((4 - (nameEnd % 4)) % 4);
  }
  return found;
}
