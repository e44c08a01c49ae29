/** The warm pool: a run that takes a clone which is ready, against one that goes on from the same template. */
import type { RealHome } from "../test/support/real-home.ts";
import { type Row, ratioRow, summarise } from "./stats.ts";
import { must, timed } from "./tools.ts";

const ROUNDS = 10;

/** What the daemon of the home must be told. */
export const POOL_ENV: Readonly<Record<string, string>> = {
  BANGER_WARM_POOL: JSON.stringify({ debian: 1 }),
  BANGER_VM_DEFAULTS_MEMORY: "512M",
};

/** `home` makes templates, and keeps one clone. */
export async function benchPool(home: RealHome): Promise<Row> {
  const run = ["run", "--rm", "-q"];
  await must(home, ["daemon", "start"]);
  const pooled: number[] = [];
  const warm: number[] = [];
  await ready(home);
  // The first after the daemon started compares the template's hashes.
  await must(home, [...run, "--", "true"]);
  for (let i = 0; i < ROUNDS; i += 1) {
    await ready(home);
    pooled.push(await timed(async () => await must(home, [...run, "--", "true"])));
    await ready(home);
    // The pool serves only those who ask for nothing.
    warm.push(await timed(async () => await must(home, [...run, "--vmm", "qemu", "--", "true"])));
  }
  return ratioRow(
    "run --rm -- true, from the warm pool / from the template",
    summarise(pooled),
    summarise(warm),
    1,
  );
}

/** Until a clone waits. */
async function ready(home: RealHome): Promise<void> {
  const client = await home.client();
  while (!(await client.listTemplates()).some((template) => template.pooled > 0)) await Bun.sleep(100);
}
