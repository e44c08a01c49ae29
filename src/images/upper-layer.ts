/**
 * The writable layer of a VM as a layer of an image: what overlayfs keeps in its upper directory
 * (Documentation/filesystems/overlayfs.rst), told in the words of OCI (image-spec v1.1.0, layer.md, "Whiteouts").
 */
import { BangerError } from "../model/errors.ts";
import { quote } from "../model/names.ts";
import { damaged, deviceOf, type Inode } from "./ext4/layout.ts";
import { Ext4Reader } from "./ext4/reader.ts";
import { type MovedDirectory, type MovedOptions, readMoved } from "./moved-directories.ts";
import { ImageBudget } from "./tar/limits.ts";
import type { WrittenEntry } from "./tar/writer.ts";
import { END_MARK, paddingOf, writeHeader } from "./tar/writer.ts";

/** Deeper than PATH_MAX allows. */
const MAX_DEPTH = 2048;
const MAX_PATH = 4096;
const OVERLAY = "trusted.overlay.";

/** What the agent writes for each VM, which is no part of what an image is. */
const OF_THE_VM: ReadonlySet<string> = new Set([
  "etc/hostname",
  "etc/hosts",
  "etc/machine-id",
  "etc/resolv.conf",
]);

/**
 * The bytes of the tar, of a VM whose image is in `below`. The disk must not change meanwhile, and its journal must have been
 * replayed. Sockets are left out, as tar does. Errors: `invalid_argument` (damaged, more entries than the limit), `unsupported` (a name cannot be told), those of
 * `readMoved`.
 */
export async function* upperLayer(diskPath: string, below: MovedOptions): AsyncGenerator<Uint8Array> {
  await using disk = await Ext4Reader.open(diskPath);
  if (disk.dirty) throw damaged("its journal was not replayed");
  const top = (await disk.list(await disk.root())).find((entry) => entry.name === "upper");
  const walk = new UpperWalk(disk, new ImageBudget(below.limits));
  // A VM whose agent never mounted it has changed nothing.
  if (top !== undefined) {
    const place = { path: "", below: "", hidden: false, depth: 0 };
    yield* walk.directory(await disk.inode(top.inode), place);
  }
  if (walk.moved.length === 0) yield END_MARK;
  else for await (const piece of readMoved(walk.moved, below)) yield Buffer.from(piece);
}

/** Where a directory is, and which directory of the image it shows; undefined: none. */
interface Place {
  readonly path: string;
  readonly below: string | undefined;
  /** What the image has at this path is not seen here. */
  readonly hidden: boolean;
  readonly depth: number;
}

class UpperWalk {
  /** What has been found so far. */
  readonly moved: MovedDirectory[] = [];
  readonly #disk: Ext4Reader;
  /** What the walk remembers grows with the entries, and so do those who read its tar. */
  readonly #budget: ImageBudget;
  /** The first path of a file with several names. */
  readonly #linked = new Map<number, string>();
  /** A directory stands in one place only; a damaged disk may say otherwise, for ever. */
  readonly #seen = new Set<number>();

  constructor(disk: Ext4Reader, budget: ImageBudget) {
    this.#disk = disk;
    this.#budget = budget;
  }

  async *directory(directory: Inode, place: Place): AsyncGenerator<Uint8Array> {
    const { path, below, hidden, depth } = place;
    if (directory.kind !== "directory" || depth > MAX_DEPTH || this.#seen.has(directory.number))
      throw damaged("its directories make no sense");
    this.#seen.add(directory.number);
    const entries = await this.#disk.list(directory);
    this.#budget.addEntries(entries.length);
    if (below !== undefined && (hidden || below !== path))
      this.moved.push({ path, from: below, own: new Set(entries.map(({ name }) => name)) });
    for (const { name, inode } of entries) {
      const child = joined(path, name);
      if (child.length > MAX_PATH || name.startsWith(".wh.")) throw untold(child);
      if (!OF_THE_VM.has(child)) yield* this.#entry(await this.#disk.inode(inode), child, place);
    }
  }

  async *#entry(inode: Inode, path: string, parent: Place): AsyncGenerator<Uint8Array> {
    if (inode.kind === "socket") return;
    if (isWhiteout(inode)) {
      yield writeHeader({ ...PLAIN, path: whiteoutOf(path), mtimeSeconds: inode.mtimeSeconds });
      return;
    }
    const first = this.#linked.get(inode.number);
    if (first !== undefined) {
      yield writeHeader({ ...facts(inode, path), kind: "hardlink", linkPath: first, sizeBytes: 0 });
      return;
    }
    if (inode.kind !== "directory" && inode.links > 1) this.#linked.set(inode.number, path);
    const xattrs = await this.#disk.xattrs(inode);
    const own = xattrs.filter(([name]) => !name.startsWith(OVERLAY));
    const overlay = new Map(xattrs.filter(([name]) => name.startsWith(OVERLAY)));
    if (overlay.has(`${OVERLAY}metacopy`)) throw damaged("a file has no contents");
    const entry = { ...facts(inode, path), xattrs: own.map(([name, value]) => ({ name, value })) };
    if (inode.kind === "symlink") {
      yield writeHeader({ ...entry, linkPath: await this.#disk.target(inode) });
    } else if (inode.kind === "file") {
      yield writeHeader(entry);
      yield* this.#disk.contents(inode);
      yield Buffer.alloc(paddingOf(inode.sizeBytes));
    } else {
      yield writeHeader(entry);
    }
    if (inode.kind !== "directory") return;
    const redirect = overlay.get(`${OVERLAY}redirect`);
    const isOpaque = overlay.get(`${OVERLAY}opaque`) === "y";
    const below = isOpaque ? undefined : placeBelow(path, parent.below, redirect);
    const hides = isOpaque || (redirect !== undefined && below !== path);
    if (hides)
      yield writeHeader({ ...PLAIN, path: `${path}/.wh..wh..opq`, mtimeSeconds: inode.mtimeSeconds });
    const hidden = hides || parent.hidden;
    yield* this.directory(inode, { path, below, hidden, depth: parent.depth + 1 });
  }
}

const PLAIN = {
  kind: "file",
  linkPath: "",
  mode: 0o644,
  uid: 0,
  gid: 0,
  sizeBytes: 0,
  major: 0,
  minor: 0,
  xattrs: [],
} as const;

function facts(inode: Inode, path: string): WrittenEntry {
  const { kind, mode, uid, gid, mtimeSeconds, sizeBytes } = inode;
  const isDevice = kind === "character" || kind === "block";
  return {
    ...PLAIN,
    kind: kind === "socket" ? "fifo" : kind,
    path,
    mode,
    uid,
    gid,
    // Tars of this writer know no times before 1970.
    mtimeSeconds: Math.max(0, mtimeSeconds),
    sizeBytes: kind === "file" ? sizeBytes : 0,
    ...(isDevice ? deviceOf(inode) : {}),
  };
}

/** A character device 0/0 says that the name of the layer below is gone. */
function isWhiteout(inode: Inode): boolean {
  if (inode.kind !== "character") return false;
  const { major, minor } = deviceOf(inode);
  return major === 0 && minor === 0;
}

function whiteoutOf(path: string): string {
  const slash = path.lastIndexOf("/") + 1;
  return `${path.slice(0, slash)}.wh.${path.slice(slash)}`;
}

/** The directory of the image that is merged into one of the upper layer: by its name, or as a rename noted it. */
function placeBelow(
  path: string,
  parent: string | undefined,
  redirect: string | undefined,
): string | undefined {
  if (redirect?.startsWith("/") === true) return redirect.slice(1);
  return parent === undefined ? undefined : joined(parent, redirect ?? path.slice(path.lastIndexOf("/") + 1));
}

function joined(directory: string, name: string): string {
  return directory === "" ? name : `${directory}/${name}`;
}

function untold(path: string): BangerError {
  const shown = quote(Buffer.from(path, "latin1").toString());
  return new BangerError("unsupported", `the name ${shown} cannot be told in a layer of an image`, {
    cure: "give it a shorter name that does not begin with .wh.",
  });
}
