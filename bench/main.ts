/**
 * The benchmark: banger against something real that runs in the same minutes on the same machine. Prints a table and the
 * same as JSON. Times of a shared machine mean little; the figures of the last columns are what counts. Arguments: `start`,
 * `stop`, `life`, `snapshot`, `warm`, `first`, `firecracker`, `network`, `images`, `files`, `workspace`, `ports`; none means all. Exit code 1 when a target is missed.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { type Row, renderRows } from "./stats.ts";
import { ROOT } from "./tools.ts";

const binary = join(ROOT, "dist/banger");
// The homes of the test support run this program, with addresses for all records, and hardly ever those of another run.
process.env["BANGER_PROGRAM"] = binary;
process.env["BANGER_NETWORK_ADDRESS_POOL"] = `10.${64 + (process.pid % 64)}.0.0/16`;
const { createRealHome } = await import("../test/support/real-home.ts");

const parts = process.argv.slice(2);
const wanted = (part: string): boolean => parts.length === 0 || parts.includes(part);
const { stdout: built } = Bun.spawnSync([process.execPath, join(ROOT, "scripts/build.ts")], {
  stderr: "inherit",
});
process.stderr.write(built);
const scratch = mkdtempSync("/tmp/banger-bench-");
try {
  const rows: Row[] = [];
  if (wanted("start")) {
    await using home = await createRealHome();
    rows.push(...(await (await import("./start.ts")).benchStart(home, { binary, scratch })));
  }
  if (wanted("stop")) {
    await using home = await createRealHome();
    rows.push(...(await (await import("./stop.ts")).benchStop(home, scratch)));
  }
  if (wanted("life")) {
    await using home = await createRealHome();
    rows.push(...(await (await import("./ps.ts")).benchPs(home, scratch)));
    rows.push(...(await (await import("./life.ts")).benchLife(home, scratch)));
  }
  if (wanted("firecracker")) {
    rows.push(...(await (await import("./firecracker.ts")).benchFirecracker(scratch)));
  }
  if (wanted("network")) rows.push(...(await (await import("./network.ts")).benchNetwork(binary, scratch)));
  if (wanted("snapshot")) rows.push(...(await (await import("./snapshot.ts")).benchSnapshot(scratch)));
  if (wanted("images")) {
    await using home = await createRealHome({ bare: true });
    rows.push(...(await (await import("./images.ts")).benchImages(home, scratch)));
  }
  if (wanted("workspace")) {
    await using home = await createRealHome();
    rows.push(...(await (await import("./workspace.ts")).benchWorkspace(home, scratch)));
  }
  if (wanted("workspace")) {
    await using home = await createRealHome({ templates: true });
    rows.push(...(await (await import("./setup-kept.ts")).benchSetup(home, scratch)));
    await (await home.client()).pruneTemplates();
  }
  if (wanted("files")) {
    await using home = await createRealHome();
    rows.push(...(await (await import("./files.ts")).benchFiles(home, scratch)));
  }
  if (wanted("ports")) {
    await using home = await createRealHome();
    rows.push(...(await (await import("./ports.ts")).benchPorts(home, scratch)));
  }
  if (wanted("warm")) {
    await using home = await createRealHome({ templates: true });
    rows.push(...(await (await import("./warm.ts")).benchWarm(home, scratch)));
    await (await home.client()).pruneTemplates();
  }
  if (wanted("warm")) {
    // After the home before is gone: two networks with one pool of addresses do not go together.
    const { benchPool, POOL_ENV } = await import("./pool.ts");
    await using pooled = await createRealHome({ templates: true, env: POOL_ENV });
    rows.push(await benchPool(pooled));
  }
  if (wanted("first")) {
    const { benchFirst } = await import("./warm.ts");
    rows.push(await benchFirst(async (templates) => await createRealHome({ templates })));
  }
  console.log(renderRows(rows));
  console.log(`\n${JSON.stringify(rows)}`);
  process.exitCode = rows.every((row) => row.met) ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}
