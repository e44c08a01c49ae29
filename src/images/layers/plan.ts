/** Which entry of which layer ends up where: the finished tree, turned into what one pass over each layer needs. */

import type { ImageBudget } from "../tar/limits.ts";
import { LayerApplier } from "./apply.ts";
import type { LayerIndex } from "./layer-index.ts";
import { splitSource } from "./sources.ts";
import { createRoot, IMPLICIT, type TreeNode } from "./tree.ts";

export interface MergePlan {
  /** One for each layer, from the lowest up. */
  readonly layers: readonly LayerPlan[];
  /** Directories that no entry describes. */
  readonly implicit: readonly TreeNode[];
  /** The entry of the root directory, of those that have one. */
  readonly root: { readonly layer: number; readonly ordinal: number } | undefined;
  /** The latest time of all entries, Unix seconds. */
  readonly newestSeconds: number;
}

export interface LayerPlan {
  /** Of all of the layer, however many of them are left. */
  readonly count: number;
  /** The entries from here on are not needed. */
  readonly end: number;
  /** The names of an entry in the end, none when it lost. More than one: hard links. */
  names(ordinal: number): readonly TreeNode[];
}

/** `indexes` from the lowest up, counted in `budget`. Errors: `invalid_argument` (an entry that cannot be where it says, over a limit). */
export function planMerge(indexes: readonly LayerIndex[], budget: ImageBudget): MergePlan {
  const root = createRoot();
  for (const [layer, index] of indexes.entries()) {
    const applier = new LayerApplier(root, { layer, budget });
    for (const entry of index.entries()) applier.apply(entry);
  }
  return planTree(root, indexes);
}

/** The plan for a tree that was made of these. */
export function planTree(root: TreeNode, indexes: readonly LayerIndex[]): MergePlan {
  const layers = indexes.map((index) => new LayerWinners(index.count));
  const implicit: TreeNode[] = [];
  walk(root, (node) => {
    if (node.source === IMPLICIT) implicit.push(node);
    else {
      const { layer, ordinal } = splitSource(node.source);
      layers[layer]?.add(ordinal, node);
    }
  });
  return {
    layers,
    implicit,
    root: root.source === IMPLICIT ? undefined : splitSource(root.source),
    newestSeconds: indexes.reduce((newest, index) => Math.max(newest, index.newestSeconds), 0),
  };
}

class LayerWinners implements LayerPlan {
  readonly count: number;
  end = 0;
  /** For each entry, one more than the place of its first name in `#nodes`. */
  readonly #places: Uint32Array;
  readonly #nodes: TreeNode[] = [];
  /** By the same place: the further names. */
  readonly #more = new Map<number, TreeNode[]>();

  constructor(count: number) {
    this.count = count;
    this.#places = new Uint32Array(count);
  }

  add(ordinal: number, node: TreeNode): void {
    const place = this.#places[ordinal] ?? 0;
    if (place > 0) {
      const more = this.#more.get(place);
      if (more === undefined) this.#more.set(place, [node]);
      else more.push(node);
      return;
    }
    this.#nodes.push(node);
    this.#places[ordinal] = this.#nodes.length;
    this.end = Math.max(this.end, ordinal + 1);
  }

  names(ordinal: number): readonly TreeNode[] {
    const place = this.#places[ordinal] ?? 0;
    const first = this.#nodes[place - 1];
    return first === undefined ? NOTHING : [first, ...(this.#more.get(place) ?? NOTHING)];
  }
}

const NOTHING: readonly TreeNode[] = [];

/** Every node but the root, parents first; without recursion, because a path may have two thousand components. */
function walk(root: TreeNode, visit: (node: TreeNode) => void): void {
  const todo = [...(root.children?.values() ?? [])];
  for (let node = todo.pop(); node !== undefined; node = todo.pop()) {
    visit(node);
    for (const child of node.children?.values() ?? []) todo.push(child);
  }
}
