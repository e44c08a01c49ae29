/** banger is called inside other people's repositories: nothing that lies there may run or change what a command does. */
import { expect, test } from "bun:test";
import { existsSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRealHome } from "../support/real-home.ts";

/** A directory whose files the runtime would load by itself: one runs code, the others set variables. */
function createHostileDirectory(): { readonly dir: string; readonly mark: string } & Disposable {
  const dir = mkdtempSync(join(tmpdir(), "banger-hostile-"));
  const mark = join(dir, "ran");
  writeFileSync(join(dir, "bunfig.toml"), 'preload = ["./preload.ts"]\n');
  writeFileSync(
    join(dir, "preload.ts"),
    `require("node:fs").appendFileSync(${JSON.stringify(mark)}, "ran");`,
  );
  for (const name of [".env", ".env.local", ".env.production"]) {
    writeFileSync(join(dir, name), "BANGER_VM_DEFAULTS_VCPUS=7\n");
  }
  return { dir, mark, [Symbol.dispose]: () => rmSync(dir, { recursive: true }) };
}

test("the command and the daemon that it starts run nothing and take no variable from the directory", async () => {
  await using home = await createRealHome({ bare: true });
  using hostile = createHostileDirectory();
  const { code, stdout } = await home.banger(["config", "show", "--json"], { cwd: hostile.dir });
  expect(code).toBe(0);
  const { settings } = JSON.parse(stdout) as { settings: { key: string; origin: string }[] };
  // The home of a test has a variable of its own: no templates.
  const fromVariables = settings.filter(({ origin }) => origin === "variable").map(({ key }) => key);
  expect(fromVariables).toEqual(["templates.max_count"]);
  expect(existsSync(hostile.mark)).toBe(false);
  // Nor does the daemon stay in it: the directory could not be unmounted.
  expect(readlinkSync(`/proc/${await home.daemonPid()}/cwd`)).toBe("/");
});
