/** The program that docs/sdk.md shows does what the page says, on Node.js and against real guests. */
import { expect, test } from "bun:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createRealHome } from "../support/real-home.ts";
import { codeBlocks, ROOT, readPage } from "./markdown.ts";

const PAGE = readPage("docs/sdk.md");

test("the program of docs/sdk.md prints what the page says, and leaves no VM", async () => {
  const [source = ""] = codeBlocks(PAGE, "ts");
  const promised = [...(/^prints `([^`]+)`, and `([^`]+)`/m.exec(PAGE.text) ?? [])].slice(1);
  expect(promised).toHaveLength(2);
  const dir = mkdtempSync(join(tmpdir(), "banger-sdk-"));
  try {
    const program = source.replace('"banger"', JSON.stringify(join(ROOT, "src/sdk/index.ts")));
    writeFileSync(join(dir, "program.ts"), program);
    const built = await Bun.build({
      entrypoints: [join(dir, "program.ts")],
      target: "node",
      outdir: join(dir, "built"),
    });
    expect(built.success).toBe(true);
    await using home = await createRealHome({ env: { BANGER_VM_DEFAULTS_MEMORY: "256M" } });
    await home.must(["daemon", "start"]);
    const argv = [join(dir, "built/program.js"), join(home.home, "run/bangerd.sock")];
    const child = Bun.spawn(["node", ...argv], { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [stdout, stderr] = await Promise.all([child.stdout.text(), child.stderr.text()]);
    expect({ code: await child.exited, stderr }).toEqual({ code: 0, stderr: "" });
    expect(stdout.trimEnd().split("\n")).toEqual(promised);
    expect((await home.must(["ps", "-a", "-q"])).stdout).toBe("");
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
});
