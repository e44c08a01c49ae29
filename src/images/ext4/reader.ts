/**
 * Reads an ext4 file system out of a disk file, without mounting it and without any privilege. What a guest wrote may be damaged on
 * purpose: every offset is checked, every count bounded, and nothing is read outside of the file.
 */
import { type FileHandle, open } from "node:fs/promises";
import {
  damaged,
  type Inode,
  parseDescriptor,
  parseInode,
  parseSuperblock,
  SUPERBLOCK_AT,
  SUPERBLOCK_BYTES,
  type Superblock,
} from "./layout.ts";
import { parseBlockXattrs, parseInodeXattrs, type Xattr } from "./xattrs.ts";

const ROOT_INODE = 2;
const EXTENT_MAGIC = 0xf30a;
/** The kernel's own bound (fs/ext4/ext4_extents.h). */
const MAX_DEPTH = 5;
/** Of one file: a terabyte in pieces of a megabyte. */
const MAX_EXTENTS = 1_000_000;
const MAX_DIRECTORY_BYTES = 512 * 1024 * 1024;
const CHUNK_BYTES = 1024 * 1024;
const SYMLINK_MAX = 4096;

interface Extent {
  /** In blocks, of the file. */
  readonly from: number;
  readonly count: number;
  /** On the disk; undefined: it reads as zeros. */
  readonly start: number | undefined;
}

export interface DirectoryEntry {
  /** One character a byte. */
  readonly name: string;
  readonly inode: number;
}

export class Ext4Reader implements AsyncDisposable {
  readonly #file: FileHandle;
  readonly #sizeBytes: number;
  readonly #super: Superblock;

  private constructor(file: FileHandle, sizeBytes: number, superblock: Superblock) {
    this.#file = file;
    this.#sizeBytes = sizeBytes;
    this.#super = superblock;
  }

  /** Errors: `invalid_argument` (no ext4, damaged), `unsupported` (features), those of the file system. */
  static async open(path: string): Promise<Ext4Reader> {
    const file = await open(path, "r");
    try {
      const { size } = await file.stat();
      const bytes = Buffer.alloc(SUPERBLOCK_BYTES);
      const { bytesRead } = await file.read(bytes, 0, bytes.length, SUPERBLOCK_AT);
      return new Ext4Reader(file, size, parseSuperblock(bytes.subarray(0, bytesRead)));
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** Its journal holds what is not in its place yet: replay it first. */
  get dirty(): boolean {
    return this.#super.dirty;
  }

  /** The directory at the top. */
  async root(): Promise<Inode> {
    return await this.inode(ROOT_INODE);
  }

  async inode(number: number): Promise<Inode> {
    const { inodes, inodesPerGroup, inodeBytes, blockBytes, descriptorBytes, descriptorsAt } = this.#super;
    if (number < 1 || number > inodes) throw damaged(`there is no inode ${number}`);
    const group = Math.floor((number - 1) / inodesPerGroup);
    const at = descriptorsAt * blockBytes + group * descriptorBytes;
    const table = parseDescriptor(await this.#read(at, descriptorBytes));
    const inside = ((number - 1) % inodesPerGroup) * inodeBytes;
    return parseInode(number, await this.#read(table * blockBytes + inside, inodeBytes));
  }

  /** Without `.` and `..`, by name. */
  async list(directory: Inode): Promise<DirectoryEntry[]> {
    if (directory.sizeBytes > MAX_DIRECTORY_BYTES) throw damaged("a directory is too large");
    const { blockBytes } = this.#super;
    const found: DirectoryEntry[] = [];
    for await (const chunk of this.contents(directory)) {
      for (let start = 0; start + blockBytes <= chunk.length; start += blockBytes) {
        parseDirectoryBlock(chunk.subarray(start, start + blockBytes), found);
      }
    }
    return found.sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** The target of a symbolic link, one character a byte. */
  async target(link: Inode): Promise<string> {
    if (link.sizeBytes > SYMLINK_MAX) throw damaged("a link is too long");
    if (!link.hasExtents) return link.block.toString("latin1", 0, Math.min(60, link.sizeBytes));
    const parts: Buffer[] = [];
    for await (const chunk of this.contents(link)) parts.push(chunk);
    return Buffer.concat(parts).toString("latin1");
  }

  async xattrs({ rest, xattrBlock }: Inode): Promise<Xattr[]> {
    const { blockBytes } = this.#super;
    const inside = parseInodeXattrs(rest);
    if (xattrBlock === 0) return inside;
    return [...inside, ...parseBlockXattrs(await this.#read(xattrBlock * blockBytes, blockBytes))];
  }

  /** As many bytes as the inode's size, holes as zeros; pieces end at block borders but for the last. */
  async *contents(inode: Inode): AsyncGenerator<Buffer> {
    const { blockBytes } = this.#super;
    let at = 0;
    for (const { from, count, start } of await this.#extents(inode)) {
      yield* zeros(at, Math.min(from * blockBytes, inode.sizeBytes));
      at = Math.max(at, Math.min(from * blockBytes, inode.sizeBytes));
      const end = Math.min((from + count) * blockBytes, inode.sizeBytes);
      if (start === undefined) yield* zeros(at, end);
      else yield* this.#pieces(start * blockBytes + (at - from * blockBytes), end - at);
      at = Math.max(at, end);
    }
    yield* zeros(at, inode.sizeBytes);
  }

  async *#pieces(at: number, sizeBytes: number): AsyncGenerator<Buffer> {
    for (let done = 0; done < sizeBytes; done += CHUNK_BYTES) {
      yield await this.#read(at + done, Math.min(CHUNK_BYTES, sizeBytes - done));
    }
  }

  /** In the order of the file. */
  async #extents(inode: Inode): Promise<Extent[]> {
    if (inode.sizeBytes === 0) return [];
    if (!inode.hasExtents) throw damaged(`inode ${inode.number} has no extents`);
    const found: Extent[] = [];
    await this.#walk(inode.block, MAX_DEPTH, found);
    for (const [index, extent] of found.entries()) {
      const before = found[index - 1];
      if (before !== undefined && extent.from < before.from + before.count)
        throw damaged(`the extents of inode ${inode.number} overlap`);
    }
    return found;
  }

  /** https://docs.kernel.org/filesystems/ext4/ifork.html#extent-tree */
  async #walk(node: Buffer, maxDepth: number, found: Extent[]): Promise<void> {
    const entries = node.readUInt16LE(2);
    const depth = node.readUInt16LE(6);
    if (node.readUInt16LE(0) !== EXTENT_MAGIC || depth > maxDepth || 12 + entries * 12 > node.length)
      throw damaged("an extent tree makes no sense");
    const { blockBytes } = this.#super;
    for (let at = 12; at < 12 + entries * 12; at += 12) {
      if (depth === 0) {
        const length = node.readUInt16LE(at + 4);
        const start = node.readUInt16LE(at + 6) * 2 ** 32 + node.readUInt32LE(at + 8);
        const written = length <= 32_768;
        const count = written ? length : length - 32_768;
        found.push({ from: node.readUInt32LE(at), count, start: written ? start : undefined });
        if (found.length > MAX_EXTENTS) throw damaged("a file has too many extents");
      } else {
        const leaf = node.readUInt16LE(at + 8) * 2 ** 32 + node.readUInt32LE(at + 4);
        await this.#walk(await this.#read(leaf * blockBytes, blockBytes), depth - 1, found);
      }
    }
  }

  async #read(at: number, size: number): Promise<Buffer> {
    if (!Number.isSafeInteger(at) || at + size > this.#sizeBytes) throw damaged("a block lies outside of it");
    const bytes = Buffer.alloc(size);
    const { bytesRead } = await this.#file.read(bytes, 0, size, at);
    if (bytesRead !== size) throw damaged("a block lies outside of it");
    return bytes;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#file.close();
  }
}

/** Inner nodes of hash trees look like empty entries, and checksums like one without an inode. */
function parseDirectoryBlock(block: Buffer, found: DirectoryEntry[]): void {
  for (let at = 0; at + 8 <= block.length; ) {
    const inode = block.readUInt32LE(at);
    const size = block.readUInt16LE(at + 4);
    const nameBytes = block.readUInt8(at + 6);
    if (size < 8 || at + size > block.length || nameBytes + 8 > size)
      throw damaged("a directory makes no sense");
    const name = block.toString("latin1", at + 8, at + 8 + nameBytes);
    if (inode !== 0 && name !== "." && name !== "..") {
      if (name === "" || name.includes("/") || name.includes("\0")) throw damaged("a name makes no sense");
      found.push({ name, inode });
    }
    at += size;
  }
}

function* zeros(from: number, to: number): Generator<Buffer> {
  for (let at = from; at < to; at += CHUNK_BYTES) yield Buffer.alloc(Math.min(CHUNK_BYTES, to - at));
}
