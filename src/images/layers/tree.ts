/**
 * The tree of files that layers make, held in memory with as little as the merge needs: names, kinds, and which entry of
 * which layer each file is. Symbolic links are followed inside of it only, as securejoin does for umoci and Docker.
 */
import type { ByteString, TarKind } from "../tar/entry.ts";

/** Linux follows 40 (path_resolution(7)); securejoin, 255. */
const MAX_LINKS_FOLLOWED = 255;

/** A directory that no entry described. */
export const IMPLICIT = -1;

/** A hard link is a second node with the same source: what it shares with the first is the file itself. */
export class TreeNode {
  parent: TreeNode | undefined;
  name: ByteString;
  kind: Exclude<TarKind, "hardlink">;
  /** Which entry it is (`sourceOf`), or IMPLICIT. */
  source: number;
  /** The last layer that wrote it or something below it. */
  touched: number;
  /** Of a directory that is not empty. */
  children: Map<ByteString, TreeNode> | undefined;
  /** Of a symbolic link. */
  target: ByteString;

  constructor(parent: TreeNode | undefined, name: ByteString, facts: NodeFacts) {
    this.parent = parent;
    this.name = name;
    this.kind = facts.kind;
    this.source = facts.source;
    this.touched = -1;
    this.children = undefined;
    this.target = facts.target ?? "";
  }
}

export interface NodeFacts {
  readonly kind: Exclude<TarKind, "hardlink">;
  readonly source: number;
  readonly target?: ByteString;
}

/** Where a path leads: the deepest node that is there, and the names that are missing below it. */
export interface Place {
  readonly node: TreeNode;
  readonly missing: readonly ByteString[];
}

export function createRoot(): TreeNode {
  return new TreeNode(undefined, "", { kind: "directory", source: IMPLICIT });
}

/** Follows every symbolic link in the path, its last component too; `onFollow` hears where each leads. Undefined: a loop. */
export function resolve(
  root: TreeNode,
  path: ByteString,
  onFollow: (target: ByteString) => void,
): Place | undefined {
  if (path === "") return { node: root, missing: [] };
  let node = root;
  const missing: ByteString[] = [];
  const todo = path.split("/").toReversed();
  let followed = 0;
  for (let part = todo.pop(); part !== undefined; part = todo.pop()) {
    if (part === "" || part === ".") continue;
    if (part === "..") {
      if (missing.length > 0) missing.pop();
      else node = node.parent ?? node;
      continue;
    }
    const child = missing.length > 0 ? undefined : node.children?.get(part);
    if (child === undefined) missing.push(part);
    else if (child.kind !== "symlink") node = child;
    else {
      followed += 1;
      if (followed > MAX_LINKS_FOLLOWED) return undefined;
      onFollow(child.target);
      if (child.target.startsWith("/")) node = root;
      todo.push(...child.target.split("/").toReversed());
    }
  }
  return { node, missing };
}

/** Puts a new node below a directory. */
export function attach(parent: TreeNode, name: ByteString, facts: NodeFacts): TreeNode {
  const node = new TreeNode(parent, name, facts);
  parent.children ??= new Map();
  parent.children.set(name, node);
  return node;
}

/** Takes a node with all below it to another directory, also of another tree. */
export function adopt(parent: TreeNode, node: TreeNode): void {
  detach(node);
  node.parent = parent;
  parent.children ??= new Map();
  parent.children.set(node.name, node);
}

/** Takes a node with all below it out of the tree. */
export function detach(node: TreeNode): void {
  node.parent?.children?.delete(node.name);
}

/** From the root, without a slash in front. */
export function pathOf(node: TreeNode): ByteString {
  let path = node.name;
  for (let above = node.parent; above?.parent !== undefined; above = above.parent)
    path = `${above.name}/${path}`;
  return path;
}
