/** Trees of files for tests: made at random from a seed, and compared as rsync would. */

import { createHash } from "node:crypto";
import {
  chmodSync,
  closeSync,
  ftruncateSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  symlinkSync,
  writeSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as fc from "fast-check";

/** A directory of a test, removed with it. */
export function createScratch(): Disposable & { readonly path: string; at(...names: string[]): string } {
  const path = mkdtempSync(join(tmpdir(), "banger-files-"));
  return {
    path,
    at: (...names) => join(path, ...names),
    [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }),
  };
}

/** Gives a directory and all that is in it to a user. */
export function chownTree(dir: string, uid: number): void {
  for (const path of ["", ...readdirSync(dir, { recursive: true, encoding: "utf8" })]) {
    lchownSync(join(dir, path), uid, uid);
  }
}

export type Node =
  | { readonly kind: "file"; readonly content: Uint8Array; readonly hole: number; readonly mode: number }
  | { readonly kind: "link"; readonly target: Uint8Array }
  | { readonly kind: "again"; readonly pick: number }
  | {
      readonly kind: "directory";
      readonly mode: number;
      readonly children: readonly (readonly [Uint8Array, Node])[];
    };

/** Names of any bytes that a file system takes. */
const name: fc.Arbitrary<Uint8Array> = fc
  .oneof(
    fc.uint8Array({ min: 1, max: 255, minLength: 1, maxLength: 12 }),
    fc.uint8Array({ min: 1, max: 255, minLength: 90, maxLength: 255 }),
    fc.constantFrom("a", "b\n", " ", "-rf", "ünï", "\u{1f600}").map((text) => Buffer.from(text)),
  )
  .map((bytes) => bytes.map((byte) => (byte === 0x2f ? 0x5f : byte)))
  .filter((bytes) => ![".", ".."].includes(Buffer.from(bytes).toString()));

const { tree } = fc.letrec<{ tree: Node; node: Node }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, depthSize: "small" },
    fc.record({
      kind: fc.constant("file" as const),
      content: fc.uint8Array({ maxLength: 3_000 }),
      hole: fc.constantFrom(0, 0, 1_000_000),
      mode: fc.constantFrom(0o644, 0o755, 0o600, 0o400, 0o1666),
    }),
    fc.record({
      kind: fc.constant("link" as const),
      target: fc.uint8Array({ min: 1, max: 255, minLength: 1, maxLength: 200 }),
    }),
    fc.record({ kind: fc.constant("again" as const), pick: fc.nat(100) }),
    tie("tree"),
  ),
  tree: fc.record({
    kind: fc.constant("directory" as const),
    mode: fc.constantFrom(0o755, 0o700, 0o1777),
    children: fc.array(fc.tuple(name, tie("node")), { maxLength: 6 }),
  }),
}));

/** Random directories. */
export const anyTree: fc.Arbitrary<Node> = tree;

/** Makes the tree at a path that is free. */
export function makeTree(path: Buffer, node: Node, files: Buffer[] = []): void {
  switch (node.kind) {
    case "file": {
      const fd = openSync(path, "wx");
      writeSync(fd, node.content);
      if (node.hole > 0) {
        writeSync(fd, Buffer.from("end"), 0, 3, node.hole);
        ftruncateSync(fd, node.hole * 2);
      }
      closeSync(fd);
      chmodSync(path, node.mode);
      files.push(path);
      break;
    }
    case "link":
      symlinkSync(Buffer.from(node.target), path);
      break;
    case "again": {
      const target = files[node.pick % Math.max(1, files.length)];
      if (target === undefined) return;
      linkSync(target, path);
      return;
    }
    case "directory": {
      mkdirSync(path);
      const taken = new Set<string>();
      for (const [childName, child] of node.children) {
        const key = Buffer.from(childName).toString("hex");
        if (taken.has(key)) continue;
        taken.add(key);
        makeTree(Buffer.concat([path, Buffer.from("/"), childName]), child, files);
      }
      chmodSync(path, node.mode);
      break;
    }
  }
  lutimesSync(path, 1_500_000_000.25, 1_600_000_000.5);
}

/** What a tree is, one line for each entry: name, kind, mode, time, content, target, and which names are one file. */
export function describeTree(root: string): string[] {
  const lines: string[] = [];
  const inodes = new Map<bigint, number>();
  const walk = (path: Buffer, shown: string): void => {
    const status = lstatSync(path, { bigint: true });
    const mode = (Number(status.mode) & 0o7777).toString(8);
    const time = String(status.mtimeNs / 1000n);
    if (status.isDirectory()) {
      lines.push(`${shown}/ ${mode} ${time}`);
      for (const child of readdirSync(path, { encoding: "buffer" }).toSorted((a, b) =>
        Buffer.compare(a, b),
      )) {
        walk(Buffer.concat([path, Buffer.from("/"), child]), `${shown}/${child.toString("hex")}`);
      }
    } else if (status.isSymbolicLink()) {
      lines.push(`${shown} -> ${readlinkSync(path, { encoding: "buffer" }).toString("hex")} ${time}`);
    } else {
      const same = inodes.get(status.ino) ?? inodes.size;
      inodes.set(status.ino, same);
      const sum = createHash("sha256").update(readFileSync(path)).digest("hex");
      const dense = status.size > 100_000n && status.blocks * 512n >= status.size ? " dense" : "";
      lines.push(`${shown} ${mode} ${time} ${sum} ${same}${dense}`);
    }
  };
  walk(Buffer.from(root), "");
  return lines;
}
