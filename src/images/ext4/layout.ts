/**
 * The parts of ext4 that lie in the same place on every disk: superblock, group descriptors, inodes. Source: the kernel's
 * Documentation/filesystems/ext4 (super.rst, group_descr.rst, inodes.rst).
 */
import { BangerError } from "../../model/errors.ts";

export const SUPERBLOCK_AT = 1024;
export const SUPERBLOCK_BYTES = 1024;
const MAGIC = 0xef53;

/** INCOMPAT_FILETYPE, EXTENTS, 64BIT, FLEX_BG, CSUM_SEED: all that mke2fs of today makes and a reader must know. */
const KNOWN = 0x2 | 0x40 | 0x80 | 0x200 | 0x2000;
const EXTENTS = 0x40;
const WIDE = 0x80;
/** INCOMPAT_RECOVER: the journal holds what is not in its place yet. */
const RECOVER = 0x4;

export interface Superblock {
  readonly blockBytes: number;
  readonly inodeBytes: number;
  readonly inodes: number;
  readonly inodesPerGroup: number;
  readonly descriptorBytes: number;
  /** The block of the first group descriptor. */
  readonly descriptorsAt: number;
  /** It was not unmounted or frozen: the journal is to be replayed first. */
  readonly dirty: boolean;
}

/** Errors: `invalid_argument` (no ext4, damaged), `unsupported` (a feature that is unknown here). */
export function parseSuperblock(bytes: Buffer): Superblock {
  if (bytes.length < SUPERBLOCK_BYTES || bytes.readUInt16LE(0x38) !== MAGIC)
    throw damaged("it has no superblock");
  const features = bytes.readUInt32LE(0x60);
  if ((features & ~(KNOWN | RECOVER)) !== 0 || (features & EXTENTS) === 0) {
    const shown = `0x${features.toString(16)}`;
    throw new BangerError(
      "unsupported",
      `the disk's file system has features that banger does not read (${shown})`,
    );
  }
  const blockBytes = 1024 * 2 ** bytes.readUInt32LE(0x18);
  const inodeBytes = bytes.readUInt16LE(0x58);
  const wide = (features & WIDE) !== 0;
  const descriptorBytes = wide ? bytes.readUInt16LE(0xfe) : 32;
  const inodesPerGroup = bytes.readUInt32LE(0x28);
  if (blockBytes > 65_536 || inodeBytes < 128 || inodeBytes > blockBytes || inodesPerGroup === 0)
    throw damaged("its superblock makes no sense");
  if (descriptorBytes < 32 || descriptorBytes > 1024) throw damaged("its superblock makes no sense");
  return {
    blockBytes,
    inodeBytes,
    inodes: bytes.readUInt32LE(0),
    inodesPerGroup,
    descriptorBytes,
    descriptorsAt: blockBytes === 1024 ? 2 : 1,
    dirty: (features & RECOVER) !== 0,
  };
}

/** The block at which the inodes of a group begin. */
export function parseDescriptor(bytes: Buffer): number {
  const high = bytes.length >= 64 ? bytes.readUInt32LE(0x28) : 0;
  return high * 2 ** 32 + bytes.readUInt32LE(0x8);
}

export type InodeKind = "file" | "directory" | "symlink" | "character" | "block" | "fifo" | "socket";

const KINDS: Readonly<Record<number, InodeKind>> = {
  1: "fifo",
  2: "character",
  4: "directory",
  6: "block",
  8: "file",
  10: "symlink",
  12: "socket",
};

export interface Inode {
  readonly number: number;
  readonly kind: InodeKind;
  /** Permissions with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly mtimeSeconds: number;
  readonly sizeBytes: number;
  readonly links: number;
  /** Whether `block` is the root of an extent tree. */
  readonly hasExtents: boolean;
  /** Its 60 bytes of block map: extents, a short symlink, or a device's number. */
  readonly block: Buffer;
  /** The block with more extended attributes; 0: none. */
  readonly xattrBlock: number;
  /** What lies behind the fields in the inode itself: extended attributes. */
  readonly rest: Buffer;
}

/** Errors: `invalid_argument`, `unsupported` (inline data, encryption, attributes in inodes). */
export function parseInode(number: number, bytes: Buffer): Inode {
  const mode = bytes.readUInt16LE(0);
  const kind = KINDS[mode >> 12];
  if (kind === undefined) throw damaged(`inode ${number} is of no kind`);
  const flags = bytes.readUInt32LE(0x20);
  // EXT4_ENCRYPT_FL, EXT4_INLINE_DATA_FL.
  if ((flags & 0x1000_0800) !== 0) throw damaged(`inode ${number} is encrypted or inline`);
  const extra = bytes.length > 0x82 ? bytes.readUInt16LE(0x80) : 0;
  const restAt = 0x80 + extra;
  return {
    number,
    kind,
    mode: mode & 0o7777,
    uid: bytes.readUInt16LE(0x2) + bytes.readUInt16LE(0x78) * 65_536,
    gid: bytes.readUInt16LE(0x18) + bytes.readUInt16LE(0x7a) * 65_536,
    mtimeSeconds: bytes.readInt32LE(0x10),
    sizeBytes: bytes.readUInt32LE(0x4) + bytes.readUInt32LE(0x6c) * 2 ** 32,
    links: bytes.readUInt16LE(0x1a),
    hasExtents: (flags & 0x80000) !== 0,
    block: bytes.subarray(0x28, 0x28 + 60),
    xattrBlock: bytes.readUInt32LE(0x68) + bytes.readUInt16LE(0x76) * 2 ** 32,
    rest: extra === 0 || restAt >= bytes.length ? Buffer.alloc(0) : bytes.subarray(restAt),
  };
}

/** Of a device inode (include/linux/kdev_t.h: the old form, then the new one). */
export function deviceOf({ block }: Inode): { readonly major: number; readonly minor: number } {
  const old = block.readUInt32LE(0);
  if (old !== 0) return { major: (old >> 8) & 0xff, minor: old & 0xff };
  const wide = block.readUInt32LE(4);
  return { major: (wide & 0xfff00) >>> 8, minor: (wide & 0xff) | ((wide >>> 12) & 0xfff00) };
}

export function damaged(why: string): BangerError {
  return new BangerError("invalid_argument", `the disk's file system is damaged: ${why}`, {
    cure: "start the VM and stop it again, which repairs what a crash left",
  });
}
