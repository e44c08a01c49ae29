/**
 * What a VM moved without rewriting it: overlayfs notes a renamed directory of the image as one that is merged with another place
 * below (Documentation/filesystems/overlayfs.rst, "renaming directories"). A layer knows no such thing: there it is copied.
 */
import { exportRootfs } from "./archive/export-rootfs.ts";
import { LayerApplier } from "./layers/apply.ts";
import { emitMerged } from "./layers/emit.ts";
import { indexLayer } from "./layers/merge.ts";
import { planTree } from "./layers/plan.ts";
import { spool } from "./layers/spool.ts";
import { adopt, attach, createRoot, IMPLICIT, type TreeNode } from "./layers/tree.ts";
import type { ByteString } from "./tar/entry.ts";
import { ImageBudget, type ImageLimits } from "./tar/limits.ts";

/** A directory of the upper layer that shows what the image has elsewhere. */
export interface MovedDirectory {
  readonly path: ByteString;
  /** Its place in the image. */
  readonly from: ByteString;
  /** The names that are the upper layer's, whatever they stand for there. */
  readonly own: ReadonlySet<ByteString>;
}

export interface MovedOptions {
  /** The image's root file system. */
  readonly rootfsPath: string;
  /** Where its tar may be put, which the caller removes. */
  readonly tarPath: string;
  readonly limits?: ImageLimits;
  readonly signal?: AbortSignal;
}

/**
 * The tar, with its end mark, of what the image has in these directories besides their own names; the directories themselves are not
 * in it. Pieces are valid until the next is asked for. What stands in two of them, which only a damaged disk says, comes once.
 * Errors: those of `exportRootfs` and of `indexLayer`.
 */
export async function* readMoved(
  directories: readonly MovedDirectory[],
  { rootfsPath, tarPath, limits, signal }: MovedOptions,
): AsyncGenerator<Uint8Array> {
  const withSignal = signal === undefined ? {} : { signal };
  const budget = new ImageBudget(limits);
  const file = { path: tarPath, name: "the image below", diffId: undefined };
  const index = await indexLayer(spool(exportRootfs(rootfsPath, signal), tarPath), { ...file, budget });
  const below = createRoot();
  const applier = new LayerApplier(below, { layer: 0, budget });
  for (const entry of index.entries()) applier.apply(entry);
  const plan = { ...planTree(move(below, directories), [index]), implicit: [] };
  yield* emitMerged({ files: [file], plan, budget, ...withSignal });
}

function move(below: TreeNode, directories: readonly MovedDirectory[]): TreeNode {
  // All are looked up before one is gone from where it was.
  const found = directories.map((directory) => ({ ...directory, node: find(below, directory.from) }));
  const root = createRoot();
  for (const { path, own, node } of found) {
    // One that the VM made in a moved directory has nothing below.
    const children = [...(node?.children?.values() ?? [])].filter(({ name }) => !own.has(name));
    const target = children.length === 0 ? root : makeDirectory(root, path);
    for (const child of children) adopt(target, child);
  }
  return root;
}

/** Without following links: the kernel does not either. */
function find(root: TreeNode, path: ByteString): TreeNode | undefined {
  let node: TreeNode | undefined = root;
  for (const name of path.split("/")) node = node?.children?.get(name);
  return node;
}

function makeDirectory(root: TreeNode, path: ByteString): TreeNode {
  let node = root;
  for (const name of path.split("/")) {
    node = node.children?.get(name) ?? attach(node, name, { kind: "directory", source: IMPLICIT });
  }
  return node;
}
