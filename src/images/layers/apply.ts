/**
 * Applies the entries of a layer to the tree of the layers below, to the same end as `umoci unpack` by root does with files
 * (image-spec layer.md, "Applying Changesets"): what an entry replaces is gone with all below it, a directory over a directory
 * keeps its contents, a whiteout hides what lower layers have and nothing of its own.
 */
import { type ByteString, refusedEntry, shownBytes, type TarEntry } from "../tar/entry.ts";
import type { ImageBudget } from "../tar/limits.ts";
import { sourceOf } from "./sources.ts";
import { attach, detach, IMPLICIT, type Place, resolve, type TreeNode } from "./tree.ts";

const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

/** What the merge keeps of an entry. */
export type IndexedEntry = Pick<TarEntry, "kind" | "path" | "linkPath">;

export class LayerApplier {
  readonly #root: TreeNode;
  readonly #layer: number;
  readonly #budget: ImageBudget;
  #ordinal = 0;
  /** Where the last directory led, until something is taken away: entries of one directory follow each other. */
  #known: { readonly dir: ByteString; readonly node: TreeNode } | undefined;

  /** `layer` counts from the lowest up; layers are applied in that order. `budget` has counted the entries. */
  constructor(root: TreeNode, { layer, budget }: { readonly layer: number; readonly budget: ImageBudget }) {
    this.#root = root;
    this.#layer = layer;
    this.#budget = budget;
  }

  /** The next entry, in the order of the archive. Errors: `invalid_argument` (it cannot be there, over a limit). */
  apply(entry: IndexedEntry): void {
    const source = sourceOf(this.#layer, this.#ordinal);
    this.#ordinal += 1;
    if (entry.path === "") {
      if (entry.kind !== "directory") throw refusedEntry("/", "it would replace the root directory");
      this.#root.source = source;
      return;
    }
    const slash = entry.path.lastIndexOf("/");
    const name = entry.path.slice(slash + 1);
    const dir = slash < 0 ? "" : entry.path.slice(0, slash);
    if (name.startsWith(WHITEOUT)) this.#whiteOut(entry, { dir, name });
    else this.#put(entry, { dir, name, source });
  }

  #put(entry: IndexedEntry, at: { dir: ByteString; name: ByteString; source: number }): void {
    const parent = this.#makeDirectory(entry, at.dir);
    const existing = parent.children?.get(at.name);
    if (existing?.kind === "directory" && entry.kind === "directory") {
      existing.source = at.source;
      this.#touch(existing);
      return;
    }
    // Removed first, as a program does that unpacks: a link to itself finds nothing.
    if (existing !== undefined) this.#remove(existing);
    if (entry.kind === "hardlink") {
      const { kind, source, target } = this.#linkTarget(entry);
      this.#touch(attach(parent, at.name, { kind, source, target }));
      return;
    }
    const facts = { kind: entry.kind, source: at.source, target: entry.linkPath };
    this.#touch(attach(parent, at.name, facts));
  }

  /** Like `mkdir -p`, through symbolic links. */
  #makeDirectory(entry: IndexedEntry, dir: ByteString): TreeNode {
    if (this.#known?.dir === dir) return this.#known.node;
    const place = this.#resolve(dir);
    if (place === undefined) throw refusedEntry(entry.path, "its directory is a loop of symbolic links");
    let { node } = place;
    if (node.kind !== "directory")
      throw refusedEntry(entry.path, `it lies below a ${node.kind} that is no directory`);
    // A name of a thousand directories is short, and each of them costs what an entry costs.
    this.#budget.addEntries(place.missing.length);
    for (const name of place.missing) {
      node = attach(node, name, { kind: "directory", source: IMPLICIT });
    }
    this.#known = { dir, node };
    return node;
  }

  /** The target's own last component is not followed: a symbolic link can have several names too. */
  #linkTarget(entry: IndexedEntry): TreeNode {
    const slash = entry.linkPath.lastIndexOf("/");
    const place = this.#resolve(slash < 0 ? "" : entry.linkPath.slice(0, slash));
    const found =
      place === undefined || place.missing.length > 0
        ? undefined
        : place.node.children?.get(entry.linkPath.slice(slash + 1));
    if (found === undefined) {
      throw refusedEntry(entry.path, `its target "${shownBytes(entry.linkPath)}" is not there`);
    }
    if (found.kind === "directory") {
      throw refusedEntry(entry.path, `its target "${shownBytes(entry.linkPath)}" is a directory`);
    }
    return found;
  }

  /** A link's target is walked for each entry behind it, as if its name were that much longer. */
  #resolve(path: ByteString): Place | undefined {
    return resolve(this.#root, path, (target) => this.#budget.addNameBytes(target.length));
  }

  #whiteOut(entry: IndexedEntry, { dir, name }: { dir: ByteString; name: ByteString }): void {
    const hidden = name.slice(WHITEOUT.length);
    if (hidden === "" || hidden === "." || hidden === "..")
      throw refusedEntry(entry.path, "it hides nothing");
    const place = this.#resolve(dir);
    if (place === undefined) throw refusedEntry(entry.path, "its directory is a loop of symbolic links");
    if (place.missing.length > 0) return;
    if (name === OPAQUE) {
      this.#removeUntouchedBelow(place.node);
      return;
    }
    const child = place.node.children?.get(hidden);
    if (child !== undefined) this.#removeUntouched(child);
  }

  /** What this layer has put there stays, wherever in the archive the whiteout stands. */
  #removeUntouched(node: TreeNode): void {
    if (node.touched !== this.#layer) {
      this.#remove(node);
      return;
    }
    this.#removeUntouchedBelow(node);
  }

  #removeUntouchedBelow(node: TreeNode): void {
    // Taking an entry out of a Map while it is walked is fine.
    for (const child of node.children?.values() ?? []) this.#removeUntouched(child);
  }

  #remove(node: TreeNode): void {
    this.#known = undefined;
    detach(node);
  }

  #touch(node: TreeNode): void {
    for (let at: TreeNode | undefined = node; at !== undefined; at = at.parent) {
      // Not further: what is above has been marked with it.
      if (at !== node && at.touched === this.#layer) return;
      at.touched = this.#layer;
    }
  }
}
