/** The one file that `npm run build` makes: it needs nothing of this checkout. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRealHome } from "../support/real-home.ts";

const BUILD = join(import.meta.dir, "../../scripts/build.ts");

test("the binary runs a VM, from a directory whose files would like to be obeyed", async () => {
  const dir = mkdtempSync(join(tmpdir(), "banger-binary-"));
  try {
    const program = join(dir, "bin/banger");
    const built = Bun.spawnSync([process.execPath, "run", BUILD, program]);
    expect(built.stderr.toString(), built.stdout.toString()).not.toContain("error");
    writeFileSync(join(dir, "bunfig.toml"), 'preload = ["./evil.ts"]');
    writeFileSync(join(dir, "evil.ts"), 'throw new Error("obeyed");');
    writeFileSync(join(dir, ".env"), "BANGER_HOME=/nowhere");
    // Whatever it would look for beside itself or on the way to bun and node is not there.
    await using home = await createRealHome({ program, env: { PATH: "/usr/sbin:/usr/bin:/sbin:/bin" } });
    const ran = await home.banger(["run", "--rm", "-q", "--", "uname", "-n"], { cwd: dir });
    expect(ran).toMatchObject({ code: 0, stderr: "" });
    expect((await home.banger(["daemon", "status"], { cwd: dir })).stdout).toContain("running, pid");
    expect((await home.banger(["doctor"], { cwd: dir })).stdout).toContain("PASS");
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
