/** The tar reader against archives of GNU tar, and against what nobody should write. */
import { describe, expect, test } from "bun:test";
import { mkdir, open, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import { layerTar } from "../layers/testing.ts";
import { createTemporaryDirectory } from "../testing.ts";
import { DEFAULT_LIMITS } from "./limits.ts";
import { readTar } from "./testing.ts";
import { paxRecord, writeHeader } from "./writer.ts";

async function gnuTar(cwd: string, ...args: string[]): Promise<Buffer> {
  const { stdout } = await runProgram(["tar", "-cf", "-", ...args], { cwd });
  return Buffer.from(stdout);
}

function refusal(read: () => unknown): BangerError {
  try {
    read();
  } catch (error) {
    if (error instanceof BangerError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

describe("TarReader reads what GNU tar writes:", () => {
  const sparseArgs = [
    ["--format=gnu"],
    ["--format=pax", "--sparse-version=0.0"],
    ["--format=pax", "--sparse-version=0.1"],
    ["--format=pax", "--sparse-version=1.0"],
  ];

  test.each(sparseArgs)("a sparse file, %s %s", async (...args) => {
    await using dir = await createTemporaryDirectory();
    const handle = await open(join(dir.path, "holes"), "w");
    // More pieces than a header has room for, a hole at the end.
    for (let piece = 0; piece < 40; piece += 1) await handle.write(`piece ${piece}`, piece * 65_536);
    await handle.truncate(3_000_001);
    await handle.close();
    const tar = await gnuTar(dir.path, "--sparse", ...args.filter((arg) => arg !== undefined), "holes");
    expect(tar.length).toBeLessThan(500_000);
    const plain = Buffer.from(await Bun.file(join(dir.path, "holes")).arrayBuffer());
    for (const step of [tar.length, 511, 4097]) {
      const [entry] = readTar(tar, { step });
      expect(entry?.path).toBe("holes");
      expect(entry?.sizeBytes).toBe(3_000_001);
      expect(entry?.content.equals(plain)).toBe(true);
    }
  });

  test.each(["v7", "oldgnu", "gnu", "ustar", "pax"])(
    "names, links and large owners in the format %s",
    async (format) => {
      await using dir = await createTemporaryDirectory();
      const long = format === "v7" ? "n".repeat(90) : "n".repeat(99);
      const deep =
        format === "gnu" || format === "oldgnu" || format === "pax"
          ? `${"d".repeat(150)}/${"e".repeat(150)}`
          : "sub";
      await mkdir(join(dir.path, deep), { recursive: true });
      await writeFile(join(dir.path, deep, long.slice(0, 90)), "deep");
      await writeFile(join(dir.path, "é"), "accent");
      await runProgram(["ln", "é", join(dir.path, "hard")], { cwd: dir.path });
      await runProgram(["ln", "-s", "t".repeat(90), join(dir.path, "soft")], { cwd: dir.path });
      const large = format === "gnu" || format === "oldgnu" || format === "pax";
      const owner = large ? ["--owner=:3000000000", "--group=:70000"] : ["--owner=:1000", "--group=:70000"];
      const tar = await gnuTar(
        dir.path,
        `--format=${format}`,
        ...owner,
        "--mtime=@1600000000.9",
        "--sort=name",
        ".",
      );
      const listed = readTar(tar, { step: 1000 }).map(
        ({ path, kind, linkPath, uid, gid, content, mtimeSeconds }) =>
          [
            Buffer.from(path, "latin1").toString(),
            kind,
            linkPath,
            uid,
            gid,
            mtimeSeconds,
            content.toString(),
          ].join(" "),
      );
      const id = large ? 3_000_000_000 : 1000;
      const lines = [
        ` directory  ${id} 70000 1600000000 `,
        ...deep
          .split("/")
          .map(
            (_, index, parts) => `${parts.slice(0, index + 1).join("/")} directory  ${id} 70000 1600000000 `,
          ),
        `${deep}/${long.slice(0, 90)} file  ${id} 70000 1600000000 deep`,
        `soft symlink ${"t".repeat(90)} ${id} 70000 1600000000 `,
      ];
      expect(listed).toEqual(expect.arrayContaining(lines));
      expect(listed.filter((line) => / (?:file|hardlink) /u.test(line))).toHaveLength(3);
    },
  );
});

describe("TarReader", () => {
  test("gives back what writeHeader() wrote", () => {
    const entries = [
      {
        path: "a".repeat(100),
        content: "x",
        mode: 0o7777,
        uid: 2 ** 32 - 1,
        gid: 2_097_152,
        mtimeSeconds: -5,
      },
      { path: `${"b".repeat(200)}/c`, kind: "symlink", linkPath: "\xff".repeat(4000) },
      { path: "x", content: "y".repeat(1025), xattrs: { "user.a": "\0=\n", "user.b": "b" } },
      { path: "dev", kind: "block", major: 4095, minor: 2 ** 20 - 1 },
    ] as const;
    for (const step of [1, 7, 512, 10_000]) {
      expect(
        readTar(layerTar(entries), { step }).map((entry) => ({
          ...entry,
          extents: "",
          sizeBytes: 0,
          content: entry.content.toString("latin1"),
          xattrs: Object.fromEntries(entry.xattrs.map(({ name, value }) => [name, value])),
        })),
      ).toEqual(
        entries.map((entry) => ({
          kind: "file",
          linkPath: "",
          mode: 0o644,
          uid: 0,
          gid: 0,
          mtimeSeconds: 1_600_000_000,
          major: 0,
          minor: 0,
          content: "",
          xattrs: {},
          hasAcl: false,
          extents: "",
          sizeBytes: 0,
          ...entry,
        })),
      );
    }
  });

  test.each([
    ["system.posix_acl_access", "SCHILY.xattr.system.posix_acl_access", "\x02\0\0\0"],
    ["the text of GNU tar", "SCHILY.acl.default", "user::rwx,user:5:r--,group::r-x,other::r-x"],
  ])("tells of an access control list that it leaves out: %s", (_, key, value) => {
    const records = paxRecord(key, value) + paxRecord("SCHILY.xattr.user.x", "1");
    const [entry, next] = readTar(
      Buffer.concat([meta("x", records), layerTar([{ path: "a" }, { path: "b" }])]),
    );
    expect([entry?.hasAcl, entry?.xattrs, next?.hasAcl]).toEqual([
      true,
      [{ name: "user.x", value: "1" }],
      false,
    ]);
  });

  test("takes owner and time from a global header, and nothing else", () => {
    const withGlobal = (record: string): Buffer =>
      Buffer.concat([meta("g", record), layerTar([{ path: "a", uid: 5 }])]);
    expect(readTar(withGlobal(paxRecord("uid", "777")))[0]?.uid).toBe(777);
    expect(readTar(withGlobal(paxRecord("comment", "a commit")))[0]?.uid).toBe(5);
    for (const bad of [
      paxRecord("path", "other"),
      paxRecord("size", "9"),
      paxRecord("SCHILY.xattr.user.x", "1"),
    ]) {
      expect(refusal(() => readTar(withGlobal(bad))).message).toContain("global header");
    }
  });

  const one = layerTar([{ path: "a", content: "x" }]);
  /** What is refused, and a word of the reason. */
  const odd: Readonly<Record<string, readonly [Buffer, string]>> = {
    "a wrong checksum": [changed(one, 0, "b", { keepSum: true }), "checksum"],
    "a number that is none": [changed(one, 124, "9"), "number"],
    "a negative size": [changed(one, 124, "\xff".repeat(12)), "negative"],
    "contents of a directory": [changed(one, 156, "5"), "contents"],
    "a file named like a directory": [changed(one, 0, "a/"), "directory"],
    "two long names": [Buffer.concat([meta("L", "x\0"), meta("L", "y\0"), one]), "two extended headers"],
    "two extended headers": [
      Buffer.concat([meta("x", paxRecord("uid", "7")), meta("x", paxRecord("uid", "8")), one]),
      "two extended headers",
    ],
    "two names that differ": [
      Buffer.concat([meta("L", "x\0"), meta("x", paxRecord("path", "y")), one]),
      "two names",
    ],
    "a record without a length": [Buffer.concat([meta("x", "path=y\n"), one]), "record"],
    "a record with a false length": [Buffer.concat([meta("x", "99 path=y\n"), one]), "record"],
    "a record without a key": [Buffer.concat([meta("x", "6 =12\n"), one]), "without a key"],
    "an owner that does not exist": [
      Buffer.concat([meta("x", paxRecord("uid", "4294967296")), one]),
      "does not exist",
    ],
    "an extended header of two megabytes": [
      Buffer.concat([meta("x", "0".repeat(2 ** 21)), one]),
      "extended header has more than",
    ],
    "an extended header and no entry": [
      Buffer.concat([meta("x", paxRecord("uid", "7")), Buffer.alloc(1024)]),
      "ends after an extended header",
    ],
    "garbage behind the end": [Buffer.concat([one, Buffer.alloc(512, 7)]), "after its end"],
    "a second archive behind the end": [Buffer.concat([one, one]), "after its end"],
    "one block of zeros in the middle": [Buffer.concat([Buffer.alloc(512), one]), "after its end"],
    "a NUL in a name": [Buffer.concat([meta("x", paxRecord("path", "a\0b")), one]), "malformed"],
    "an extended attribute without a name": [
      Buffer.concat([meta("x", paxRecord("SCHILY.xattr.", "1")), one]),
      "impossible name",
    ],
    "a sparse map in disorder": [
      Buffer.concat([
        meta(
          "x",
          paxRecord("GNU.sparse.size", "100") +
            paxRecord("GNU.sparse.numblocks", "2") +
            paxRecord("GNU.sparse.map", "50,1,0,0"),
        ),
        one,
      ]),
      "disorder",
    ],
    "a sparse map larger than its file": [
      Buffer.concat([
        meta(
          "x",
          paxRecord("GNU.sparse.size", "100") +
            paxRecord("GNU.sparse.numblocks", "1") +
            paxRecord("GNU.sparse.map", "100,1"),
        ),
        one,
      ]),
      "does not fit",
    ],
  };

  test.each(Object.keys(odd))("refuses %s", (name) => {
    const [bytes, reason] = odd[name] ?? [Buffer.alloc(0), ""];
    const error = refusal(() => readTar(bytes));
    expect(error.code).toBe("invalid_argument");
    expect(error.message).toContain(reason);
  });

  test("refuses kinds that are not of a file system", () => {
    for (const type of ["V", "M", "D", "N", "Z"])
      expect(refusal(() => readTar(changed(one, 156, type))).code).toBe("unsupported");
  });

  test("refuses every truncation when the end mark is insisted on, and half an entry always", () => {
    const tar = layerTar([{ path: "a", content: "x".repeat(600), xattrs: { "user.a": "b" } }, { path: "b" }]);
    for (let size = 0; size < tar.length; size += 1)
      expect(refusal(() => readTar(tar.subarray(0, size))).message).toContain("truncated");
    // After the contents, 600 bytes from 1536 on, too.
    const between = [0, 2176, 2304, 2432, 2560, 3072, 3584, 4096];
    for (let size = 0; size < tar.length; size += 128) {
      const read = (): unknown => readTar(tar.subarray(0, size), { marked: false });
      if (between.includes(size)) read();
      else expect(refusal(read).message).toContain("truncated");
    }
  });

  test.each([
    ["maxEntries", 2, "images.max_entries"],
    ["maxBytes", 100, "images.max_size"],
    ["maxPathBytes", 10, "images.max_path"],
    ["maxXattrBytes", 10, "images.max_xattr"],
  ] as const)("names the limit %s, and the key that moves it", (limit, value, key) => {
    const tar = layerTar([
      { path: "a-long-name/a", content: "x".repeat(200), xattrs: { "user.name": "a value" } },
      { path: "b" },
      { path: "c" },
    ]);
    const error = refusal(() => readTar(tar, { limits: { ...DEFAULT_LIMITS, [limit]: value } }));
    expect(error.message).toContain(String(value));
    expect(error.cure).toContain(key);
  });

  test("counts the holes of a sparse file", () => {
    const tar = Buffer.concat([
      meta(
        "x",
        paxRecord("GNU.sparse.size", "1000000000000000") +
          paxRecord("GNU.sparse.numblocks", "1") +
          paxRecord("GNU.sparse.map", "0,1"),
      ),
      one,
    ]);
    expect(refusal(() => readTar(tar)).message).toContain("uncompressed bytes");
  });

  test("does not repeat control characters of a name", () => {
    expect(refusal(() => readTar(layerTar([{ path: "../\u001b[31m" }]))).message).not.toContain("\u001b");
  });
});

/** An extended header or long name. */
function meta(type: string, text: string): Buffer {
  const body = Buffer.from(text, "latin1");
  const header = writeHeader({
    kind: "file",
    path: "meta",
    linkPath: "",
    mode: 0o644,
    uid: 0,
    gid: 0,
    mtimeSeconds: 0,
    sizeBytes: body.length,
    major: 0,
    minor: 0,
    xattrs: [],
  });
  return Buffer.concat([changed(header, 156, type), body, Buffer.alloc((512 - (body.length % 512)) % 512)]);
}

/** The first header with other bytes, and a checksum that fits. */
function changed(tar: Buffer, at: number, text: string, options: { keepSum?: boolean } = {}): Buffer {
  const bytes = Buffer.from(tar);
  bytes.write(text, at, "latin1");
  if (options.keepSum !== true) {
    bytes.fill(0x20, 148, 156);
    const sum = bytes.subarray(0, 512).reduce((total, byte) => total + byte, 0);
    bytes.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  }
  return bytes;
}
