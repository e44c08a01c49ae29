/** Images from pipes and into files: the command line, the daemon, and archives as other programs write them. */
import { expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { layerTar, writeLayout } from "../../src/images/layers/testing.ts";
import { createTemporaryDirectory } from "../../src/images/testing.ts";
import { findProgram, runProgram } from "../../src/lib/run-program.ts";
import { createRealHome } from "../support/real-home.ts";

const LAYERS = [
  layerTar([{ path: "bin/app", content: "app", mode: 0o4755, uid: 70_000 }, { path: "old" }]),
  layerTar([{ path: ".wh.old" }]),
];

/** An OCI layout in a tar. */
async function layoutTar(dir: string): Promise<Buffer> {
  await writeLayout(join(dir, "layout"), LAYERS);
  const { stdout } = await runProgram(["tar", "-C", join(dir, "layout"), "-cf", "-", "."]);
  return Buffer.from(stdout);
}

test("image import reads stdin, and image export gives an archive that makes the same image", async () => {
  await using dir = await createTemporaryDirectory();
  await using home = await createRealHome({ bare: true });
  const env = { TMPDIR: dir.path };
  const stdin = await layoutTar(dir.path);
  const imported = await home.banger(["image", "import", "-q", "app", "-"], { stdin, env });
  expect(imported.code).toBe(0);
  expect(imported.stdout).toMatch(/^app [0-9a-f]{64}\n$/u);

  const file = join(dir.path, "out.tar");
  expect(await home.banger(["image", "export", "app", file])).toMatchObject({ code: 0, stderr: "" });
  const bytes = await readFile(file);
  const again = await home.banger(["image", "import", "-q", "copy", file]);
  expect(again.stdout.replace("copy", "app")).toBe(imported.stdout);

  // A file that is there stays as it is.
  const refused = await home.banger(["image", "export", "app", file]);
  expect(refused.code).not.toBe(0);
  expect(refused.stderr).toContain("exists already");
  expect((await readFile(file)).equals(bytes)).toBe(true);
  expect(readdirSync(dir.path).sort()).toEqual(["layout", "out.tar"]);
});

test("image import refuses what stdin brings, says why, and leaves nothing", async () => {
  await using dir = await createTemporaryDirectory();
  await using home = await createRealHome({ bare: true });
  const env = { TMPDIR: dir.path };
  const archive = await layoutTar(dir.path);
  const cases = [
    [archive.subarray(0, 3000), "truncated"],
    [layerTar([{ path: "etc" }, { path: "../evil" }]), '".."'],
    [Buffer.from("no archive at all\n".repeat(100)), "not a tar"],
    [Buffer.alloc(0), "truncated"],
  ] as const;
  for (const [stdin, says] of cases) {
    const { code, stderr } = await home.banger(["image", "import", "-q", "app", "-"], { stdin, env });
    expect(code).not.toBe(0);
    expect(stderr).toContain(says);
  }
  // One that is refused before anybody opens the pipe.
  const bad = await home.banger(["image", "import", "-q", "BAD NAME", "-"], { stdin: archive, env });
  expect(bad.stderr).toContain("not valid");
  expect((await home.banger(["image", "ls", "-q"])).stdout).toBe("");
  expect(readdirSync(dir.path)).toEqual(["layout"]);
});

test.skipIf(findProgram("sqfs2tar") === undefined)(
  "image export gives the files of any image, and an OCI layout of those that came as one",
  async () => {
    await using dir = await createTemporaryDirectory();
    await using home = await createRealHome({ bare: true });
    const stdin = layerTar([{ path: "etc/motd", content: "hello", uid: 7 }]);
    await home.must(["image", "import", "-q", "files", "-"], { stdin });
    const refused = await home.banger(["image", "export", "files", join(dir.path, "x")]);
    expect(refused.stderr).toContain("image export --format rootfs files");
    const file = join(dir.path, "files.tar");
    expect(await home.banger(["image", "export", "--format", "rootfs", "files", file])).toMatchObject({
      code: 0,
    });
    await mkdir(join(dir.path, "out"));
    const { stdout } = await runProgram(["tar", "--numeric-owner", "-tvf", file]);
    expect(Buffer.from(stdout).toString()).toMatch(/^-rw-r--r-- 7\/0 +5 .* \.\/etc\/motd$/mu);
    const unknown = await home.banger(["image", "export", "nobody", join(dir.path, "y")]);
    expect(unknown.stderr).toContain("no image named nobody");
    expect(readdirSync(dir.path).sort()).toEqual(["files.tar", "out"]);
  },
);
