/** What a hostile guest may send instead of the archive that was asked for, and that nothing of it leaves the destination. */
import { describe, expect, test } from "bun:test";
import { lstatSync, mkdirSync, readdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { refusal } from "../../../test/support/refusal.ts";
import { createScratch } from "../../../test/support/trees.ts";
import { encodeMember, type Member, type MemberKind, padding } from "../../lib/tar/member.ts";
import type { ErrorCode } from "../../model/errors.ts";
import { formatMap } from "./sparse.ts";
import { type UnpackOptions, unpack } from "./unpack.ts";

type Forged = readonly [name: string | Buffer, kind: MemberKind, content?: string | Buffer, link?: string];

function forge(members: readonly Forged[], change: Partial<Member> = {}): Buffer {
  const parts = members.flatMap(([name, kind, content = "", link = ""]) => {
    const bytes = Buffer.from(content);
    const header = encodeMember({
      name: Buffer.from(name),
      kind,
      link: Buffer.from(link),
      mode: 0o644,
      uid: 0,
      gid: 0,
      size: bytes.length,
      mtime: { seconds: 1_500_000_000, nanoseconds: 5 },
      ...change,
    });
    return [header, bytes, Buffer.alloc(padding(bytes.length))];
  });
  return Buffer.concat([...parts, Buffer.alloc(1024)]);
}

async function* pieces(bytes: Buffer, size = 700): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

const DIRECTORY = { name: "d", kind: "directory" } as const;
const FILE = { name: "f", kind: "file" } as const;

function options(into: string, more: Partial<UnpackOptions> = {}): UnpackOptions {
  return { into, expect: DIRECTORY, archive: false, limits: { entries: 100, bytes: 100_000 }, ...more };
}

const top: Forged = ["d/", "directory"];

test.each<readonly [string, readonly Forged[], Partial<UnpackOptions>, ErrorCode]>([
  ["a name that goes up", [top, ["d/../../x", "file", "x"]], {}, "invalid_argument"],
  ["an absolute name", [["/etc/x", "file", "x"]], {}, "guest_error"],
  ["another top name", [["e/", "directory"]], {}, "guest_error"],
  ["a second top", [top, ["e", "file", "x"]], {}, "guest_error"],
  ["a top that comes twice", [top, ["d", "symlink", "", "/"]], {}, "guest_error"],
  ["a link where a directory was awaited", [["d", "symlink", "", "../outside"]], {}, "guest_error"],
  [
    "a link where a file was awaited",
    [["f", "symlink", "", "../outside/x"]],
    { expect: FILE },
    "guest_error",
  ],
  [
    "a second file where one was awaited",
    [
      ["f", "file", "x"],
      ["f/x", "file", "x"],
    ],
    { expect: FILE },
    "guest_error",
  ],
  ["a device where a file was awaited", [["f", "character"]], { expect: FILE }, "guest_error"],
  ["nothing", [], {}, "guest_error"],
  [
    "a way through a link",
    [top, ["d/l", "symlink", "", "../../outside"], ["d/l/x", "file", "x"]],
    {},
    "failed_precondition",
  ],
  [
    "a directory over a link",
    [top, ["d/l", "symlink", "", "../../outside"], ["d/l", "directory"]],
    {},
    "failed_precondition",
  ],
  [
    "a hard link to what is outside",
    [top, ["d/h", "hardlink", "", "../outside/secret"]],
    {},
    "invalid_argument",
  ],
  [
    "a hard link through a link",
    [top, ["d/l", "symlink", "", "../../outside"], ["d/h", "hardlink", "", "d/l/secret"]],
    {},
    "failed_precondition",
  ],
  ["a file over a directory", [top, ["d/s/", "directory"], ["d/s", "file", "x"]], {}, "failed_precondition"],
  [
    "too many files",
    [top, ["d/a", "file"], ["d/b", "file"]],
    { limits: { entries: 2, bytes: 10 } },
    "resource_exhausted",
  ],
  [
    "too much content",
    [top, ["d/a", "file", "12345678901"]],
    { limits: { entries: 9, bytes: 10 } },
    "resource_exhausted",
  ],
])("unpack() refuses %s", async (_, members, more, code) => {
  using scratch = createScratch();
  mkdirSync(scratch.at("into"));
  mkdirSync(scratch.at("outside"));
  writeFileSync(scratch.at("outside/secret"), "secret");
  await refusal(unpack(pieces(forge(members)), options(scratch.at("into"), more)), code);
  expect(readdirSync(scratch.at("outside"))).toEqual(["secret"]);
  expect(lstatSync(scratch.at("outside/secret")).nlink).toBe(1);
  expect(readdirSync(scratch.path).toSorted()).toEqual(["into", "outside"]);
  expect(
    readdirSync(scratch.at("into"), { recursive: true }).filter((name) => String(name).includes("banger")),
  ).toEqual([]);
});

describe("unpack() of sparse files", () => {
  const sparse = async (map: Buffer, data: string, size: number): Promise<string> => {
    using scratch = createScratch();
    const content = Buffer.concat([map, Buffer.from(data)]);
    const archive = forge([["f", "file", content]], { sparse: size });
    await unpack(pieces(archive), options(scratch.path, { expect: FILE }));
    return readFileSync(scratch.at("f"), "latin1");
  };

  test("puts the pieces where they belong", async () => {
    expect(
      await sparse(
        formatMap(
          [
            [3, 2],
            [6, 1],
          ],
          9,
        ),
        "abc",
        9,
      ),
    ).toBe("\0\0\0ab\0c\0\0");
  });

  test.each([
    [
      "overlapping pieces",
      formatMap(
        [
          [0, 5],
          [3, 2],
        ],
        9,
      ),
      "abcdefg",
    ],
    ["pieces behind the end", formatMap([[8, 5]], 9), "abcde"],
    ["less data than it says", formatMap([[0, 5]], 9), "abc"],
    ["more data than it says", formatMap([[0, 2]], 9), "abc"],
    ["a number that is none", Buffer.from("x\n".padEnd(512, "\0")), ""],
    ["too many pieces", Buffer.from("99999999\n".padEnd(512, "\0")), ""],
    ["no end", Buffer.from("5\n1\n".padEnd(512, "1")), ""],
  ])("refuses a map with %s", async (_, map, data) => {
    await refusal(sparse(map, data, 9), "invalid_argument");
  });
});

test("unpack() makes no devices, drops set-user-ID bits, and notes what it left out", async () => {
  using scratch = createScratch();
  const archive = forge([top, ["d/dev", "block"], ["d/pipe", "fifo"], ["d/su", "file", "x"]], {
    mode: 0o6755,
  });
  const { notes } = await unpack(pieces(archive), options(scratch.path));
  expect(notes.length).toBe(2);
  expect(readdirSync(scratch.at("d"))).toEqual(["su"]);
  expect(lstatSync(scratch.at("d/su")).mode & 0o7777).toBe(0o755);
});

test.each(["secret", "d/secret"])("unpack() links to nothing of the host: %s", async (target) => {
  using scratch = createScratch();
  mkdirSync(scratch.at("d"));
  for (const name of ["secret", "d/secret"]) writeFileSync(scratch.at(name), "of the host");
  const archive = forge([top, ["d/own", "file", "x"], ["d/h", "hardlink", "", target]]);
  await refusal(unpack(pieces(archive), options(scratch.path)), "guest_error");
  for (const name of ["secret", "d/secret"]) expect(lstatSync(scratch.at(name)).nlink).toBe(1);
  expect(readdirSync(scratch.at("d")).toSorted()).toEqual(["own", "secret"]);
});

test("unpack() gives one file or link all of its names, wherever they are", async () => {
  using scratch = createScratch();
  const archive = forge([
    top,
    ["d/a", "file", "x"],
    ["d/l", "symlink", "", "a"],
    ["d/s/", "directory"],
    ["d/s/b", "hardlink", "", "d/a"],
    ["d/s/m", "hardlink", "", "d/l"],
    ["d/a", "file", "another"],
    ["d/c", "hardlink", "", "d/s/b"],
  ]);
  await unpack(pieces(archive), options(scratch.path));
  const inode = (name: string): number => lstatSync(scratch.at(name)).ino;
  expect([inode("d/s/b"), inode("d/s/m")]).toEqual([inode("d/c"), inode("d/l")]);
  expect(readFileSync(scratch.at("d/c"), "utf8")).toBe("x");
});

test("unpack() replaces a link that is in the place of a file, and does not write through it", async () => {
  using scratch = createScratch();
  mkdirSync(scratch.at("d"));
  writeFileSync(scratch.at("precious"), "old");
  symlinkSync("../precious", scratch.at("d/f"));
  await unpack(pieces(forge([top, ["d/f", "file", "new"]])), options(scratch.path));
  expect([readFileSync(scratch.at("d/f"), "utf8"), readFileSync(scratch.at("precious"), "utf8")]).toEqual([
    "new",
    "old",
  ]);
});

test("unpack() of a thousand damaged archives never leaves its place, and always ends", async () => {
  using scratch = createScratch();
  const good = forge([
    top,
    ["d/a", "file", "x".repeat(900)],
    ["d/l", "symlink", "", "x"],
    ["d/s/", "directory"],
    [`d/${"n".repeat(200)}`, "file", "y"],
  ]);
  let state = 1;
  let refused = 0;
  for (let run = 0; run < 1_000; run += 1) {
    const bytes = Buffer.from(good);
    for (let flip = 0; flip <= run % 3; flip += 1) {
      state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
      bytes[state % bytes.length] = state >>> 24;
    }
    mkdirSync(scratch.at("into"), { recursive: true });
    const cut = run % 5 === 0 ? bytes.subarray(0, state % bytes.length) : bytes;
    await unpack(pieces(cut), options(scratch.at("into"))).catch(() => {
      refused += 1;
    });
  }
  expect(refused).toBeGreaterThan(500);
  expect(readdirSync(scratch.path)).toEqual(["into"]);
});
