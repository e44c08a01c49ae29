/** The database of a state directory is lost: nothing of what only it knew is swept away, and the cure leads out. */
import { expect, test } from "bun:test";
import { existsSync, readdirSync, rmSync, truncateSync } from "node:fs";
import { join } from "node:path";
import { createRealHome } from "../support/real-home.ts";

test.each([
  ["cut to nothing", "is empty", (path: string): void => truncateSync(path)],
  ["deleted", "is gone", (path: string): void => rmSync(path)],
] as const)(
  "a database that was %s: no daemon starts over a volume that it knew, and the cure keeps the volume",
  async (_, words, lose) => {
    await using home = await createRealHome({ bare: true });
    await home.must(["volume", "create", "data", "--size", "64M"]);
    await home.must(["daemon", "stop"]);
    const volumes = readdirSync(join(home.home, "volumes"));
    expect(volumes).toHaveLength(1);
    lose(join(home.home, "state.db"));

    const { code, stdout, stderr } = await home.banger(["volume", "ls"]);
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain(`state.db ${words}, and what it knew is there (volumes: 1)`);
    expect((await home.banger(["doctor"])).stdout).toContain(
      `FAIL  daemon: the database ${home.home}/state.db ${words}`,
    );
    expect(readdirSync(join(home.home, "volumes"))).toEqual(volumes);

    const cure = /begin anew and keep the rest: (.+)$/m.exec(stderr)?.[1] ?? "";
    const cured = Bun.spawnSync(["sh", "-c", cure]);
    expect({ code: cured.exitCode, said: String(cured.stderr) }).toEqual({ code: 0, said: "" });
    expect((await home.must(["volume", "ls", "-q"])).stdout).toBe("");
    expect(readdirSync(join(home.home, "aside/volumes"))).toEqual(volumes);
  },
);

test("a home whose first daemon was ended before it began its database is begun again", async () => {
  await using home = await createRealHome({ bare: true });
  await home.must(["daemon", "start"]);
  await home.must(["daemon", "stop"]);
  truncateSync(join(home.home, "state.db"));
  await home.must(["ps"]);
  expect(existsSync(join(home.home, "run/bangerd.sock"))).toBe(true);
});
