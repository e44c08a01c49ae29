/** Images for real: one that was imported boots, whatever it lacks; and bad ones leave nothing. */
import { expect, test } from "bun:test";
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { createRealHome } from "../support/real-home.ts";

const PROGRAM = `
#include <stdio.h>
int main(int argc, char **argv) { printf("scratch %s\\n", argc > 1 ? argv[1] : ""); return 7; }
`;

test("an imported root file system of one static program boots and runs it", async () => {
  await using home = await createRealHome();
  const root = join(home.home, "root");
  mkdirSync(root);
  writeFileSync(join(home.home, "hello.c"), PROGRAM);
  const built = Bun.spawnSync(["cc", "-static", "-o", join(root, "hello"), join(home.home, "hello.c")]);
  expect(built.exitCode).toBe(0);
  const tar = join(home.home, "root.tar");
  expect(Bun.spawnSync(["tar", "-C", root, "--owner=0", "--group=0", "-cf", tar, "."]).exitCode).toBe(0);

  expect(await home.banger(["image", "import", "tiny", tar])).toMatchObject({ code: 0 });
  expect((await home.banger(["image", "ls", "-q"])).stdout.split("\n")).toEqual(["debian", "tiny", ""]);
  const run = await home.banger(["run", "--name", "s", "--image", "tiny", "--", "/hello", "world"]);
  expect(run).toMatchObject({ code: 7, stdout: "scratch world\n" });
  expect((await home.banger(["exec", "s", "--", "sh"])).code).toBe(127);

  const refused = await home.banger(["image", "rm", "tiny"]);
  expect(refused.code).toBe(1);
  expect(refused.stderr).toContain("banger rm s");
  await home.must(["rm", "-f", "s"]);
  expect(await home.banger(["image", "rm", "tiny"])).toMatchObject({ code: 0, stdout: "tiny\n" });
  expect(readdirSync(join(home.home, "images"))).toHaveLength(1);
});

test("an archive that is cut off, hostile or missing is refused, and leaves nothing", async () => {
  await using home = await createRealHome();
  const before = readdirSync(join(home.home, "images"));
  const cut = join(home.home, "cut.tar");
  writeFileSync(join(home.home, "big"), Buffer.alloc(3_000_000, 7));
  Bun.spawnSync(["sh", "-c", `cd ${home.home} && tar -cf - big | head -c 1000000 > ${cut}`]);
  const hostile = join(home.home, "hostile.tar");
  Bun.spawnSync(["tar", "-P", "--transform", "s,^big,../../evil,", "-C", home.home, "-cf", hostile, "big"]);
  for (const path of [cut, hostile, join(home.home, "missing.tar")]) {
    const { code, stderr } = await home.banger(["image", "import", "bad", path]);
    expect(code).toBe(1);
    expect(stderr).toContain("banger: ");
  }
  expect(readdirSync(join(home.home, "images"))).toEqual(before);
  expect((await home.banger(["image", "ls", "-q"])).stdout).toBe("debian\n");
});
