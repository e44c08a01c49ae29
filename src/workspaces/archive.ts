/** A workspace as an archive: everything that the guest gets, in one stream, so that a repository arrives without git in the guest. */
import { closeSync, constants, createReadStream, fstatSync, openSync, readlinkSync, readSync } from "node:fs";
import { BLOCK, encodeMember, type MemberKind, padding } from "../lib/tar/member.ts";
import { BangerError } from "../model/errors.ts";
import { GIT_DIRECTORIES, gitFiles, type SmallFile } from "./dot-git.ts";
import { encodeIndex, type IndexStat } from "./index-file.ts";
import type { SentFile } from "./manifest.ts";
import { EMPTY, pathOf, shown } from "./names.ts";
import { ObjectReader } from "./objects.ts";
import { breathe, describe, type IndexEntry, type PlannedFile } from "./plan.ts";
import type { StagedPart } from "./stage.ts";
import { gitOf } from "./survey.ts";

/** Small members are gathered into pieces of this size. */
const PIECE = 256 * 1024;
const READ = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK;
/** Members written before others get their turn. */
const SLICE = 256;

/** Repositories, the outer before the inner. */
export interface Archived {
  readonly parts: readonly StagedPart[];
}

/** A file on its way. */
export type PackedFile = Omit<SentFile, "arrivedNs">;

export interface ArchiveOptions {
  /** What names begin with, a slash at its end. */
  readonly root: string;
  readonly readonly: boolean;
  readonly signal: AbortSignal;
  /** Hears of every file that was packed, named below the top of its repository, whose number it hears, too. */
  readonly onFile: (file: PackedFile, part: number) => void;
  /** Hears of the index of each repository. */
  readonly onIndex?: ((index: Buffer, part: number) => void) | undefined;
  /** Nothing but the files, the packs, and these files of `.git`: the rest is there already. */
  readonly update?: readonly SmallFile[] | undefined;
}

/** Errors: `conflict` for a file that changed since it was looked at; `failed_precondition`, `cancelled`. */
export async function* archiveWorkspace(
  staged: Archived,
  options: ArchiveOptions,
): AsyncGenerator<Uint8Array> {
  yield* gather(members(staged, options));
}

async function* members(staged: Archived, options: ArchiveOptions): AsyncGenerator<Uint8Array> {
  const now = BigInt(Date.now()) * 1_000_000n;
  const header = headers(options, now);
  const isWhole = options.update === undefined;
  if (isWhole) yield header("directory", EMPTY, { mode: 0o755 });
  for (const [number, part] of staged.parts.entries()) {
    const git = Buffer.concat([part.prefix, Buffer.from(".git/")]);
    const inGit = (name: string): Buffer => Buffer.concat([git, Buffer.from(name, "latin1")]);
    if (isWhole && part.prefix.length > 0) yield header("directory", part.prefix, { mode: 0o755 });
    for (const name of isWhole ? GIT_DIRECTORIES : [])
      yield header("directory", inGit(name), { mode: 0o755 });
    for (const { name, content } of options.update ?? gitFiles(part))
      yield* small(header("file", inGit(name), { size: content.length }), content);
    for (const { name, path, size } of part.packs) {
      yield header("file", inGit(`objects/pack/${name}`), { mode: 0o444, size });
      for await (const piece of createReadStream(path)) yield piece as Buffer;
      yield Buffer.alloc(padding(size));
    }
    const sent = new Map<string, IndexStat>();
    yield* partFiles(part, { ...options, header, now, sent, number });
    if (!isWhole) continue;
    for (const name of emptyDirectories(part))
      yield header("directory", Buffer.concat([part.prefix, name]), { mode: 0o755 });
    const index = encodeIndex(part.plan.index, (entry) => statOf(part, entry, sent), part.repository.format);
    options.onIndex?.(index, number);
    yield* small(header("file", inGit("index"), { size: index.length }), index);
  }
}

type MakeHeader = ReturnType<typeof headers>;

/** Headers of members below the root; the time is now unless said. */
function headers({ root, readonly }: ArchiveOptions, now: bigint) {
  return (
    kind: MemberKind,
    name: Buffer,
    {
      mode = 0o644,
      size = 0,
      link = EMPTY,
      mtimeNs = now,
    }: { mode?: number; size?: number; link?: Buffer; mtimeNs?: bigint } = {},
  ): Buffer => {
    const nanoseconds = ((mtimeNs % BILLION) + BILLION) % BILLION;
    return encodeMember({
      name: Buffer.concat([Buffer.from(root), name]),
      kind,
      link,
      mode: readonly ? mode & 0o555 : mode,
      uid: 0,
      gid: 0,
      size,
      mtime: { seconds: Number((mtimeNs - nanoseconds) / BILLION), nanoseconds: Number(nanoseconds) },
    });
  };
}

async function* partFiles(
  part: StagedPart,
  options: ArchiveOptions & {
    readonly header: MakeHeader;
    readonly now: bigint;
    readonly sent: Map<string, IndexStat>;
    readonly number: number;
  },
): AsyncGenerator<Uint8Array> {
  const { header, sent, now, signal } = options;
  const { prefix, repository, stored } = part;
  await using objects = new LazyReader(() => new ObjectReader(gitOf(repository, signal)));
  const directories = new Set<string>();
  for (const [at, file] of part.plan.files.entries()) {
    if (at % SLICE === SLICE - 1) await breathe(signal);
    const name = Buffer.concat([prefix, file.name]);
    // Others are made as they are needed, with the permissions that they have everywhere.
    for (const directory of options.readonly ? newParents(name, directories) : []) {
      yield header("directory", directory, { mode: 0o755 });
    }
    const key = file.name.toString("latin1");
    const mode = file.executable ? 0o755 : 0o644;
    const isStored = file.disk === undefined || stored.has(key);
    const mtimeNs = file.disk?.mtimeNs ?? now;
    let size: number;
    if (isStored && file.entry !== undefined) {
      const reader = objects.get();
      ({ size } = await reader.open(file.entry.oid));
      if (file.kind === "symlink") {
        yield header("symlink", name, { mode: 0o777, link: await reader.whole(), mtimeNs });
      } else {
        yield header("file", name, { mode, size, mtimeNs });
        yield* reader.content();
        yield Buffer.alloc(padding(size));
      }
    } else {
      size = file.disk?.size ?? 0;
      yield* file.kind === "symlink"
        ? [header("symlink", name, { mode: 0o777, link: readLink(repository.top, file), mtimeNs })]
        : fromDisk(repository.top, file, header("file", name, { mode, size, mtimeNs }));
    }
    sent.set(key, { size, mtimeNs });
    const { kind, executable, disk } = file;
    options.onFile({ name: file.name, kind, executable, size, mtimeNs, disk }, options.number);
  }
}

/** The directories above a name that were not met before. */
function* newParents(name: Buffer, met: Set<string>): Generator<Buffer> {
  for (let at = name.indexOf(0x2f); at >= 0; at = name.indexOf(0x2f, at + 1)) {
    const directory = name.subarray(0, at + 1);
    const key = directory.toString("latin1");
    if (!met.has(key)) yield directory;
    met.add(key);
  }
}

/** The file as it was when it was looked at, or nothing at all. */
function* fromDisk(top: string, { name, disk }: PlannedFile, header: Buffer): Generator<Uint8Array> {
  const fd = openPlanned(top, name);
  try {
    const before = describe(fstatSync(fd, { bigint: true }));
    if (before === "other" || disk === undefined || !isSame(before, disk)) throw changed(name);
    yield header;
    for (let at = 0; at < disk.size; ) {
      const piece = Buffer.allocUnsafe(Math.min(PIECE, disk.size - at));
      const read = readSync(fd, piece, 0, piece.length, at);
      if (read === 0) throw changed(name);
      yield piece.subarray(0, read);
      at += read;
    }
    const after = describe(fstatSync(fd, { bigint: true }));
    if (after === "other" || !isSame(after, disk)) throw changed(name);
    yield Buffer.alloc(padding(disk.size));
  } finally {
    closeSync(fd);
  }
}

function openPlanned(top: string, name: Buffer): number {
  try {
    return openSync(pathOf(top, name), READ);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === "ENOENT" || code === "ELOOP" || code === "ENOTDIR") throw changed(name);
    throw error;
  }
}

function readLink(top: string, { name, disk }: PlannedFile): Buffer {
  try {
    const link = readlinkSync(pathOf(top, name), { encoding: "buffer" });
    if (link.length === disk?.size) return link;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOENT" && code !== "EINVAL" && code !== "ENOTDIR") throw error;
  }
  throw changed(name);
}

function isSame(a: { size: number; mtimeNs: bigint; inode: bigint }, b: typeof a): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.inode === b.inode;
}

/** What the copy's index may say of a file: nothing of one that git's own index does not vouch for. */
export function statOf(
  { stale, stored }: StagedPart,
  { name }: IndexEntry,
  sent: ReadonlyMap<string, IndexStat>,
): IndexStat | undefined {
  const key = name.toString("latin1");
  const stat = sent.get(key);
  return stat === undefined || stat.mtimeNs < 0n || (stale.has(key) && !stored.has(key)) ? undefined : stat;
}

/** Submodules that nobody has fetched are empty directories. */
function emptyDirectories({ plan }: StagedPart): Buffer[] {
  return plan.submodules.map((name) => Buffer.concat([name, Buffer.from("/")]));
}

function* small(header: Buffer, content: Buffer): Generator<Uint8Array> {
  yield header;
  yield content;
  yield Buffer.alloc(padding(content.length));
}

function changed(name: Buffer): BangerError {
  return new BangerError("conflict", `${shown(name)} changed while it was copied`, {
    cure: "wait until nothing writes into the work tree, and repeat the command",
  });
}

/** Joins small pieces, and adds the end mark. */
async function* gather(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let have = 0;
  for await (const part of source) {
    parts.push(Buffer.from(part));
    have += part.length;
    if (have < PIECE) continue;
    yield Buffer.concat(parts);
    [parts, have] = [[], 0];
  }
  yield Buffer.concat([...parts, Buffer.alloc(2 * BLOCK)]);
}

class LazyReader implements AsyncDisposable {
  readonly #make: () => ObjectReader;
  #made: ObjectReader | undefined;

  constructor(make: () => ObjectReader) {
    this.#make = make;
  }

  get(): ObjectReader {
    this.#made ??= this.#make();
    return this.#made;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#made?.[Symbol.asyncDispose]();
  }
}

const BILLION = 1_000_000_000n;
