/** What a guest reads of an image of several layers is what `umoci unpack` makes of them, entry by entry. */
import { expect, test } from "bun:test";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
  type LayerEntry,
  layerTar,
  umociProblem,
  unpackWithUmoci,
  withoutUnpackingTimes,
} from "../../src/images/layers/testing.ts";
import { runProgram } from "../../src/lib/run-program.ts";
import { writeOciArchive } from "../support/oci-archive.ts";
import { createRealHome } from "../support/real-home.ts";

/** Lists all below a directory, one line an entry: the same program in the guest and on the host. */
const LISTER = `
#define _XOPEN_SOURCE 700
#define _DEFAULT_SOURCE
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>
static size_t skip;
static int show(const char *path, const struct stat *facts, int type, struct FTW *at) {
  const char *name = path + skip;
  if (!*name) return 0;
  printf("%s: %o %u:%u time=%lld", name, facts->st_mode, facts->st_uid, facts->st_gid, (long long)facts->st_mtime);
  if (S_ISREG(facts->st_mode)) {
    unsigned long sum = 5381;
    FILE *file = fopen(path, "r");
    for (int byte; file && (byte = fgetc(file)) != EOF;) sum = sum * 33 + byte;
    if (file) fclose(file);
    printf(" %lld bytes %lx", (long long)facts->st_size, sum);
  }
  if (S_ISCHR(facts->st_mode) || S_ISBLK(facts->st_mode))
    printf(" device %u,%u", major(facts->st_rdev), minor(facts->st_rdev));
  char text[4096], value[4096];
  if (S_ISLNK(facts->st_mode)) {
    ssize_t length = readlink(path, text, sizeof text);
    printf(" -> %.*s", (int)length, text);
  }
  ssize_t names = llistxattr(path, text, sizeof text);
  for (char *one = text; one < text + names; one += strlen(one) + 1) {
    ssize_t length = lgetxattr(path, one, value, sizeof value);
    printf(" %s=", one);
    for (ssize_t i = 0; i < length; i++) printf("%02x", (unsigned char)value[i]);
  }
  if (!S_ISDIR(facts->st_mode)) printf(" %u names", (unsigned)facts->st_nlink);
  putchar('\\n');
  return 0;
}
int main(int argc, char **argv) {
  skip = strlen(argv[1]) + 1;
  return nftw(argv[1], show, 16, FTW_PHYS);
}
`;

const dir = (path: string, more: Partial<LayerEntry> = {}): LayerEntry => ({
  path,
  kind: "directory",
  ...more,
});
const long = `${"x/l/".padEnd(90, "n")}/${"deep".repeat(20)}`;

/** From the lowest up. */
const LAYERS: readonly (readonly LayerEntry[])[] = [
  [
    dir("x"),
    dir("x/gone"),
    { path: "x/gone/file", content: "hidden by a whiteout" },
    dir("x/opaque", { uid: 7, mode: 0o700 }),
    { path: "x/opaque/old", content: "hidden by an opaque directory" },
    { path: "x/was-file", content: "file" },
    dir("x/was-dir"),
    { path: "x/was-dir/child", content: "below" },
    { path: "x/linked", content: "one file, two names", uid: 70_000, gid: 4_000_000_000, mode: 0o640 },
    { path: "x/again", kind: "hardlink", linkPath: "x/linked" },
    { path: "x/suid", content: "set", mode: 0o6755, uid: 12 },
    { path: "x/null", kind: "character", major: 1, minor: 3, mode: 0o666 },
    { path: "x/disk", kind: "block", major: 8, minor: 17, mode: 0o660, gid: 6 },
    { path: "x/pipe", kind: "fifo", mode: 0o622 },
    { path: "x/link", kind: "symlink", linkPath: "../nowhere/at all", mode: 0o777 },
    { path: "x/real/there", content: "through a link" },
    { path: "x/way", kind: "symlink", linkPath: "real" },
    {
      path: "x/cap",
      content: "ping",
      mode: 0o755,
      xattrs: { "security.capability": `\x01\0\0\x02\0\x20${"\0".repeat(14)}` },
    },
    { path: "x/tagged", content: "t", xattrs: { "user.note": "kept\0whole", "user.empty": "" } },
    { path: long, content: "a long name", mtimeSeconds: 1 },
    { path: "x/sticky", kind: "directory", mode: 0o1777 },
  ],
  [],
  [
    dir("x"),
    { path: "x/.wh.gone" },
    dir("x/opaque", { uid: 8, mode: 0o750 }),
    { path: "x/opaque/.wh..wh..opq" },
    { path: "x/opaque/new", content: "new" },
    dir("x/was-file", { mode: 0o711 }),
    { path: "x/was-file/now", content: "a directory" },
    { path: "x/was-dir", content: "now a file" },
    { path: "x/third", kind: "hardlink", linkPath: "x/again" },
    { path: "x/way/written", content: "lands in the real directory" },
    { path: "x/suid", content: "replaced", mode: 0o4711, mtimeSeconds: 2_000_000_000 },
    { path: "x/twice", content: "first" },
    { path: "x/twice", content: "second", uid: 5 },
  ],
];

const problem = umociProblem();
if (problem !== "") console.log(`image-files.test.ts is skipped: ${problem}`);

test.skipIf(problem !== "")("a guest reads of an image what umoci unpacks of it", async () => {
  await using home = await createRealHome();
  const source = join(home.home, "list.c");
  const lister = join(home.home, "list");
  writeFileSync(source, LISTER);
  await runProgram(["cc", "-static", "-o", lister, source]);
  const content = Buffer.from(await Bun.file(lister).bytes()).toString("latin1");
  const [first = [], ...others] = LAYERS;
  const layers = [[...first, { path: "list", mode: 0o755, content }], ...others].map((one) => layerTar(one));
  const archiveDir = join(home.home, "archive");
  mkdirSync(archiveDir);
  const paths = layers.map((_, index) => join(archiveDir, `layer-${index}.tar`));
  for (const [index, layer] of layers.entries()) writeFileSync(paths[index] ?? "", layer);
  const archive = await writeOciArchive(archiveDir, { layers: paths, config: { Cmd: ["/list", "/x"] } });
  expect(await home.banger(["image", "import", "files", archive])).toMatchObject({ code: 0 });

  const before = Math.floor(Date.now() / 1000) - 1;
  const unpacked = await unpackWithUmoci(home.home, layers);
  const host = await runProgram([lister, join(unpacked, "x")]);
  const guest = await home.banger(["run", "--rm", "--image", "files"]);
  expect(guest).toMatchObject({ code: 0, stderr: expect.any(String) });
  const lines = (text: string): string[] => text.trim().split("\n").sort();
  const lists = withoutUnpackingTimes(
    lines(Buffer.from(host.stdout).toString("latin1")),
    lines(Buffer.from(guest.stdout).toString("latin1")),
    before,
  );
  expect(lists.first).toHaveLength(24);
  expect(lists.second).toEqual(lists.first);
});
