/**
 * A fuzzer of the tar reader with GNU tar as the oracle: what the reader takes, GNU tar takes and understands in the same way.
 * The reader may refuse more. Bounded in time, not in cases, unless BANGER_FUZZ_RUNS says how many; BANGER_FUZZ_SEED repeats.
 */
import { expect, test } from "bun:test";
import { BangerError } from "../../model/errors.ts";
import { layerTar } from "../layers/testing.ts";
import type { TarEntry } from "./entry.ts";
import { type ReadEntry, readTar } from "./testing.ts";
import { paxRecord } from "./writer.ts";

const SEED = Number(process.env["BANGER_FUZZ_SEED"] ?? 1);
const RUNS = Number(process.env["BANGER_FUZZ_RUNS"] ?? 1e9);
const MAX_MS = process.env["BANGER_FUZZ_RUNS"] === undefined ? 10_000 : Number.POSITIVE_INFINITY;
const BLOCK = 512;

test("TarReader understands whatever it takes as GNU tar does", () => {
  const random = createRandom(SEED);
  const seeds = seedArchives();
  const counts = { taken: 0, refused: 0 };
  for (const seed of seeds) compare(seed, counts);
  expect(counts).toEqual({ taken: seeds.length, refused: 0 });
  const from = performance.now();
  for (let run = 0; run < RUNS && performance.now() - from < MAX_MS; run += 1) {
    const bytes = mutate(seeds[random(seeds.length)] ?? Buffer.alloc(0), random);
    try {
      compare(bytes, counts);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      throw new Error(`seed ${SEED}, run ${run}: ${why}\n${bytes.toString("base64")}`, { cause: error });
    }
  }
  // Both outcomes must be common, or nothing much was compared.
  expect(counts.taken).toBeGreaterThan((counts.taken + counts.refused) / 20);
  expect(counts.refused).toBeGreaterThan(0);
});

function compare(bytes: Buffer, counts: { taken: number; refused: number }): void {
  let entries: ReadEntry[];
  try {
    entries = readTar(bytes, { step: 700 });
  } catch (error) {
    if (!(error instanceof BangerError) || error.code === "internal") throw error;
    counts.refused += 1;
    return;
  }
  counts.taken += 1;
  const listing = runTar(["-tvf", "-", "--full-time", "--numeric-owner", "--quoting-style=escape"], bytes);
  expect(entries.map(describeEntry)).toEqual(
    listing.toString("latin1").split("\n").filter(Boolean).map(normalLine),
  );
  // It seeks over holes, which a pipe does not have; their contents are compared in reader.test.ts.
  if (entries.some(({ extents }) => extents !== undefined)) return;
  const contents = Buffer.concat(entries.filter(({ kind }) => kind === "file").map(({ content }) => content));
  expect(runTar(["-xOf", "-"], bytes).equals(contents)).toBe(true);
}

function runTar(args: readonly string[], stdin: Buffer): Buffer {
  const { exitCode, stdout, stderr } = Bun.spawnSync(["tar", ...args], {
    stdin,
    stderr: "pipe",
    env: { ...process.env, TZ: "UTC", LC_ALL: "C" },
  });
  if (exitCode !== 0) throw new Error(`GNU tar refuses it: ${stderr.toString()}`);
  return stdout;
}

/** One line as `tar -tv` has it, its blanks and its name made regular. */
function normalLine(line: string): string {
  const match = /^(\S{10}) (\S+) +(\S+) (\S+ \S+) (.*)$/u.exec(line);
  if (match === null) throw new Error(`not understood: ${line}`);
  const [, letters = "", owner = "", size = "", time = "", rest = ""] = match;
  // A contiguous file is a file.
  const mode = letters.replace(/^C/u, "-");
  const [name = "", target = ""] = rest.split(
    mode.startsWith("h") ? " link to " : mode.startsWith("l") ? " -> " : "\0",
  );
  return [
    mode,
    owner,
    mode.startsWith("d") ? "0" : size,
    time,
    clean(name),
    mode.startsWith("h") ? clean(target) : target,
  ]
    .join(" ")
    .trim();
}

function describeEntry(entry: TarEntry): string {
  const device = entry.kind === "character" || entry.kind === "block";
  const size = device ? `${entry.major},${entry.minor}` : entry.sizeBytes;
  const time = new Date(entry.mtimeSeconds * 1000).toISOString().slice(0, 19).replace("T", " ");
  const mode = `${TYPE_LETTERS[entry.kind]}${permissions(entry.mode)}`;
  return [mode, `${entry.uid}/${entry.gid}`, size, time, escaped(entry.path), escaped(entry.linkPath)]
    .join(" ")
    .trim();
}

const TYPE_LETTERS = {
  file: "-",
  directory: "d",
  symlink: "l",
  hardlink: "h",
  character: "c",
  block: "b",
  fifo: "p",
} as const;

/** As ls(1) shows them. */
function permissions(mode: number): string {
  return [6, 3, 0]
    .map((shift, index) => {
      const special = (mode & (0o4000 >> index)) !== 0;
      const execute = (mode & (1 << shift)) !== 0;
      const letter = index === 2 ? "t" : "s";
      const last = special ? (execute ? letter : letter.toUpperCase()) : execute ? "x" : "-";
      return `${(mode & (4 << shift)) === 0 ? "-" : "r"}${(mode & (2 << shift)) === 0 ? "-" : "w"}${last}`;
    })
    .join("");
}

function clean(name: string): string {
  return name
    .split("/")
    .filter((part) => part !== "" && part !== ".")
    .join("/");
}

const ESCAPES: Readonly<Record<string, string>> = {
  "\\": "\\\\",
  "\n": "\\n",
  "\t": "\\t",
  "\r": "\\r",
  "\b": "\\b",
  "\f": "\\f",
  "\v": "\\v",
  "\x07": "\\a",
};

/** `--quoting-style=escape` in the C locale. */
function escaped(name: string): string {
  return name.replaceAll(
    // oxlint-disable-next-line no-control-regex -- control characters are what GNU tar escapes
    /[\\\u0000-\u001f\u007f-\u00ff]/gu,
    (char) => ESCAPES[char] ?? `\\${(char.codePointAt(0) ?? 0).toString(8).padStart(3, "0")}`,
  );
}

/** mulberry32. */
function createRandom(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let value = Math.imul(state ^ (state >>> 15), state | 1);
    value ^= value + Math.imul(value ^ (value >>> 7), value | 61);
    return ((value ^ (value >>> 14)) >>> 0) % below;
  };
}

function seedArchives(): Buffer[] {
  const entries = [
    { path: "d", kind: "directory", mode: 0o1777 },
    { path: "d/file", content: "contents", mode: 0o4755, uid: 1000, gid: 70_000 },
    { path: "d/big", content: "x".repeat(1500), uid: 3_000_000_000 },
    { path: "hard", kind: "hardlink", linkPath: "d/file" },
    { path: "soft", kind: "symlink", linkPath: "d/../d/file" },
    { path: "tty", kind: "character", major: 5, minor: 1 },
    { path: "disk", kind: "block", major: 8, minor: 300 },
    { path: "pipe", kind: "fifo" },
    { path: `${"n".repeat(150)}/x`, content: "long", xattrs: { "user.a": "b" } },
  ] as const;
  const plain = layerTar(entries);
  const gnu = ["v7", "oldgnu", "gnu", "ustar", "pax"].map(
    (format) =>
      // A directory with names of all lengths that the format holds, and a file with holes.
      Bun.spawnSync(["sh", "-c", GNU_SCRIPT, "sh", format], { stdout: "pipe" }).stdout,
  );
  const sparse = Buffer.concat([
    metaBlock(
      paxRecord("GNU.sparse.size", "5000") +
        paxRecord("GNU.sparse.numblocks", "1") +
        paxRecord("GNU.sparse.map", "4000,8") +
        paxRecord("GNU.sparse.name", "holes"),
    ),
    layerTar([{ path: "GNUSparseFile.0/holes", content: "contents" }]),
  ]);
  return [plain, layerTar([]), sparse, ...gnu.map((bytes) => Buffer.from(bytes))];
}

const GNU_SCRIPT = `set -e
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT; cd "$dir"
mkdir sub; echo hello > sub/file; ln sub/file hard; ln -s sub/file soft; mkfifo pipe
truncate -s 300000 holes; echo data | dd of=holes bs=1 seek=200000 conv=notrunc status=none
case $1 in v7|ustar) ;; *) echo long > "$(printf 'n%.0s' $(seq 140))";; esac
case $1 in v7|ustar) ;; *) sparse=--sparse;; esac
test "$1" != v7 || rm pipe
find . -exec touch -h -d @1600000000.25 {} +
test "$1" != pax || option=--pax-option=delete=ctime
tar --format="$1" $option $sparse --sort=name --mtime=@1600000000 -b1 -cf - .
`;

function metaBlock(text: string): Buffer {
  const tar = layerTar([{ path: "meta", content: text }]);
  tar.write("x", 156);
  fixChecksum(tar, 0);
  return tar.subarray(0, -1024);
}

function mutate(seed: Buffer, random: (below: number) => number): Buffer {
  const bytes = Buffer.from(seed);
  const blocks = bytes.length / BLOCK;
  for (let change = random(3); change >= 0; change -= 1) {
    const block = random(blocks);
    const at = block * BLOCK;
    switch (random(8)) {
      case 0:
        return bytes.subarray(0, random(bytes.length));
      case 1: // One block twice, over another.
        bytes.copy(bytes, random(blocks) * BLOCK, at, at + BLOCK);
        break;
      case 2:
        bytes[at + random(BLOCK)] = random(256);
        break;
      default: // A field of a header, with a checksum that fits.
        mutateField(bytes, at, random);
    }
  }
  return bytes;
}

const FIELDS: readonly (readonly [at: number, length: number])[] = [
  [0, 100],
  [100, 8],
  [108, 8],
  [116, 8],
  [124, 12],
  [136, 12],
  [156, 1],
  [157, 100],
  [257, 8],
  [329, 8],
  [337, 8],
  [345, 155],
  [386, 96],
  [482, 13],
];
const BYTES = [0, 0x20, 0x2f, 0x2e, 0x30, 0x31, 0x35, 0x37, 0x39, 0x41, 0x4c, 0x53, 0x78, 0x67, 0x80, 0xff];

function mutateField(bytes: Buffer, at: number, random: (below: number) => number): void {
  if (bytes[at + 257] !== 0x75 && random(4) > 0) return;
  const [field, length] = FIELDS[random(FIELDS.length)] ?? [0, 1];
  bytes[at + field + random(length)] = BYTES[random(BYTES.length)] ?? 0;
  fixChecksum(bytes, at);
}

function fixChecksum(bytes: Buffer, at: number): void {
  bytes.fill(0x20, at + 148, at + 156);
  const sum = bytes.subarray(at, at + BLOCK).reduce((total, byte) => total + byte, 0);
  bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, at + 148, "latin1");
}
