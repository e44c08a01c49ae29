/** A repository with a `setup`: a run that goes on from where the setup ended, against one that runs it, and against one of a tree without. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RealHome } from "../test/support/real-home.ts";
import { type Row, ratioRow, summarise } from "./stats.ts";
import { must, spawn, timed } from "./tools.ts";

const RUNS = 5;
/** Some seconds of a guest's work, as little as a real one has. */
const SETUP = "for i in $(seq 100); do /bin/true; done; head -c 20M /dev/urandom > /opt/made";
const SHAPE = ["--rm", "-q", "--memory", "512M"] as const;

/** `home` makes templates. */
export async function benchSetup(home: RealHome, scratch: string): Promise<Row[]> {
  const repository = join(scratch, "with-setup");
  await spawn(["git", "init", "-q", "-b", "main", repository]);
  writeFileSync(join(repository, "banger.toml"), `setup = "${SETUP}"\n`);
  await spawn(["git", "-C", repository, "add", "-A"]);
  const run = async (...flags: readonly string[]): Promise<number> =>
    await timed(async () => await must(home, ["run", ...SHAPE, ...flags, repository, "--", "true"]));
  // The first makes what the others go on from.
  await run();
  const [kept, anew, without]: [number[], number[], number[]] = [[], [], []];
  for (let round = 0; round < RUNS; round += 1) {
    kept.push(await run());
    anew.push(await run("--cold"));
    without.push(await run("--no-bootstrap"));
  }
  return [
    ratioRow(
      "run of a repository whose setup was kept / with --cold, which runs it",
      summarise(kept),
      summarise(anew),
      0.5,
    ),
    ratioRow("the same / run of it without a setup", summarise(kept), summarise(without), 1.5),
  ];
}
