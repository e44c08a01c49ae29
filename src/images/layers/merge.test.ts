/** The merge against `umoci unpack` by root, entry by entry. */
import { describe, expect, test } from "bun:test";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createTemporaryDirectory, failureOf } from "../testing.ts";
import {
  type LayerEntry,
  layerTar,
  listTree,
  umociProblem,
  unpackOurs,
  unpackWithUmoci,
  withoutUnpackingTimes,
} from "./testing.ts";

const why = umociProblem();
if (why !== "") console.warn(`skipped: the merge against umoci (${why})`);

const dir = (path: string, more: Partial<LayerEntry> = {}): LayerEntry => ({
  path,
  kind: "directory",
  ...more,
});
const file = (path: string, content: string, more: Partial<LayerEntry> = {}): LayerEntry => ({
  path,
  content,
  ...more,
});
const hard = (path: string, linkPath: string): LayerEntry => ({ path, kind: "hardlink", linkPath });
const sym = (path: string, linkPath: string): LayerEntry => ({ path, kind: "symlink", linkPath });
const wh = (path: string): LayerEntry => ({ path, mode: 0 });

const STACKS: Readonly<Record<string, readonly (readonly LayerEntry[])[]>> = {
  "owners, modes, times and devices": [
    [
      dir("bin", { mode: 0o2775, uid: 5, gid: 6, mtimeSeconds: 1_111_111_111 }),
      file("bin/su", "su", { mode: 0o6755, uid: 70_000, gid: 4_000_000_000, mtimeSeconds: 1 }),
      file("bin/old", "old", { mtimeSeconds: 0 }),
      file("empty", ""),
      dir("tmp", { mode: 0o1777 }),
      { path: "dev/null", kind: "character", major: 1, minor: 3, mode: 0o666 },
      { path: "dev/sda", kind: "block", major: 259, minor: 70_000, gid: 6, mode: 0o660 },
      { path: "run/fifo", kind: "fifo", mode: 0o600, uid: 9 },
      sym("bin/sh", "../nowhere/at all"),
    ],
  ],
  "extended attributes and capabilities": [
    [
      file("ping", "x", {
        xattrs: {
          "security.capability": "\x01\0\0\x02\0 \0\0\0\0\0\0\0\0\0\0\0\0\0\0",
          "user.comment": "a=b\nc",
          "trusted.x": "\xff\xfe",
          "security.selinux": "label",
        },
      }),
      dir("etc", { xattrs: { "user.dir": "1" } }),
      file("etc/passwd", "root"),
    ],
    [file("etc/shadow", "", { mode: 0o640 })],
    [dir("etc", { mode: 0o700 })],
  ],
  whiteouts: [
    [file("a/b/c", "1"), file("a/b/d", "2"), file("keep", "3"), file("gone", "4")],
    [wh("a/b/.wh.c"), wh(".wh.gone"), wh(".wh.never-there"), wh("no/such/.wh.dir")],
    [file("a/b/e", "5"), wh("a/.wh.b")],
  ],
  "a whiteout before and after what its own layer puts there": [
    [file("a/x", "low"), file("b/x", "low"), file("b/y", "low")],
    [wh(".wh.a"), file("a/y", "high"), file("b/x", "high"), wh(".wh.b"), wh("b/.wh.x")],
  ],
  "opaque directories": [
    [dir("o", { mode: 0o711 }), file("o/low", "1"), file("o/sub/low", "2"), file("p/low", "3")],
    [file("o/sub/high", "4"), wh("o/.wh..wh..opq"), file("o/high", "5"), wh("p/.wh..wh..opq")],
  ],
  "a directory replaced by a file and the reverse": [
    [file("d/x/y", "1"), file("f", "2"), sym("l", "d")],
    [file("d", "now a file"), file("f/z", "now a directory", {}), dir("l", { mode: 0o750 })].filter(
      (entry) => entry.path !== "f/z",
    ),
    [dir("d"), file("d/new", "3"), dir("f"), file("f/z", "4")],
  ],
  "hard links inside of a layer and across layers": [
    [
      file("one", "shared", { mode: 0o4755, uid: 3, xattrs: { "user.k": "v" } }),
      hard("two", "one"),
      file("x", "xx"),
    ],
    [hard("three", "one"), hard("dir/four", "./three")],
    [file("one", "replaced"), hard("five", "one")],
    [wh(".wh.two"), hard("six", "/x"), file("x", "new x")],
  ],
  "hard links to links, devices and fifos": [
    [
      sym("s", "target"),
      hard("s2", "s"),
      { path: "n", kind: "character", major: 5, minor: 1 },
      hard("n2", "n"),
    ],
    [
      { path: "p", kind: "fifo" },
      hard("p2", "p"),
      sym("etc", "conf"),
      dir("conf"),
      file("conf/a", "a"),
      hard("b", "etc/a"),
    ],
  ],
  "names through symbolic links of lower layers": [
    [dir("usr/lib"), sym("lib", "usr/lib"), sym("abs", "/usr/../usr/lib"), sym("up", "../../../etc")],
    [file("lib/libc.so", "c"), file("abs/libm.so", "m"), file("up/passwd", "inside"), wh("lib/.wh.none")],
    [wh("lib/.wh.libc.so"), sym("usr/lib/chain", "../../lib"), file("usr/lib/chain/deep", "d")],
  ],
  "entries twice in a layer": [
    [
      file("a", "first"),
      file("a", "second", { mode: 0o600 }),
      dir("d", { mode: 0o700 }),
      file("d/x", "x"),
      dir("d", { mode: 0o751 }),
    ],
    [sym("a", "x"), file("a", "third"), hard("h", "a"), file("a", "fourth")],
  ],
  "missing parents": [[file("very/deep/down/below", "x")], [file("very/deep/other", "y")]],
  "names with dots, slashes, odd bytes and great length": [
    [
      dir("./"),
      dir("./etc/"),
      file(".//etc/./motd", "hi"),
      file("/abs", "taken from the root"),
      file(`long/${"n".repeat(255)}`, "1"),
      file(`${"d".repeat(120)}/${"e".repeat(120)}/f`, "2"),
      sym("link", "t".repeat(3000)),
      hard("long/hard", `${"d".repeat(120)}/${"e".repeat(120)}/f`),
      file("new\nline and \xc3\xa9", "3"),
      file(".wh", "no whiteout"),
      file("a.wh.b", "nor this"),
    ],
  ],
  "empty layers": [[], [file("a", "1")], [], [wh(".wh.a")]],
};

describe("mergeLayers() gives what umoci unpacks:", () => {
  test.skipIf(why !== "").each(Object.keys(STACKS))("%s", async (name) => {
    await using scratch = await createTemporaryDirectory();
    const stack = STACKS[name] ?? [];
    const layers = stack.map(layerTar);
    const from = Math.floor(Date.now() / 1000);
    const theirs = await listTree(await unpackWithUmoci(scratch.path, layers));
    const ours = await listTree(await unpackOurs(scratch.path, layers));
    const { first, second } = withoutUnpackingTimes(theirs, ours, from);
    expect(second).toEqual(first);
  });
});

const HOSTILE: Readonly<Record<string, { layers: readonly (readonly LayerEntry[])[]; says: string }>> = {
  "a name with ..": { layers: [[file("../evil", "x")]], says: '".."' },
  "a name with .. inside": { layers: [[file("a/../../evil", "x")]], says: '".."' },
  "a hard link to outside": { layers: [[hard("a", "../../etc/passwd")]], says: '".."' },
  "a hard link to nothing": { layers: [[hard("a", "/etc/passwd")]], says: "is not there" },
  "a hard link to itself": { layers: [[file("a", "x"), hard("a", "a")]], says: "is not there" },
  "a hard link to a directory": { layers: [[dir("d"), hard("a", "d")]], says: "is a directory" },
  "a hard link to what a whiteout hid": {
    layers: [[file("a", "x")], [wh(".wh.a"), hard("b", "a")]],
    says: "is not there",
  },
  "a device named as a directory": {
    layers: [[{ path: "dev/null", kind: "character", major: 1, minor: 3 }, file("dev/null/x", "x")]],
    says: "no directory",
  },
  "a file named as a directory": { layers: [[file("a", "x")], [file("a/b", "y")]], says: "no directory" },
  "a loop of symbolic links": { layers: [[sym("a", "b"), sym("b", "a"), file("a/x", "y")]], says: "loop" },
  "a root that is a link": { layers: [[sym("./", "/etc")]], says: "root directory" },
  "a whiteout of its own directory": { layers: [[wh("a/.wh.")]], says: "hides nothing" },
  "a whiteout of the directory above": { layers: [[wh("a/.wh...")]], says: "hides nothing" },
};

test.each(Object.keys(HOSTILE))("mergeLayers() refuses %s", async (name) => {
  await using scratch = await createTemporaryDirectory();
  const { layers, says } = HOSTILE[name] ?? { layers: [], says: "" };
  const error = await failureOf(unpackOurs(scratch.path, layers.map(layerTar)));
  expect(error.code).toBe("invalid_argument");
  expect(error.message).toContain(says);
});

test.skipIf(why !== "")(
  "mergeLayers() keeps a file inside that is written through a symbolic link to outside",
  async () => {
    await using scratch = await createTemporaryDirectory();
    mkdirSync(join(scratch.path, "outside"));
    const layers = [[sym("out", `${scratch.path}/outside`)], [file("out/evil", "x")]].map(layerTar);
    const lines = await listTree(await unpackOurs(scratch.path, layers));
    expect(lines.some((line) => line.startsWith(`${scratch.path.slice(1)}/outside/evil: `))).toBe(true);
    expect(await listTree(join(scratch.path, "outside"))).toEqual([]);
  },
);

test("mergeLayers() says how many files lost an access control list", async () => {
  await using scratch = await createTemporaryDirectory();
  const acl = { "system.posix_acl_access": "\x02\0\0\0\x01\0\x06\0\xff\xff\xff\xff" };
  const low = [
    file("gone", "x", { xattrs: acl }),
    file("kept", "x", { xattrs: acl }),
    dir("d", { xattrs: acl }),
  ];
  const stages: string[] = [];
  const onStage = (stage: string): void => void stages.push(stage);
  await unpackOurs(scratch.path, [low, [wh(".wh.gone")]].map(layerTar), { onStage });
  expect(stages.at(-1)).toStartWith("left out the access control lists of 2 files");
});
