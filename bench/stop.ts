/** `stop` against what the guest itself needs. */
import { join } from "node:path";
import { Agent } from "../src/guest/agent.ts";
import { createDisk } from "../src/storage/disks.ts";
import type { RealHome } from "../test/support/real-home.ts";
import { bareArgv, bootDeadline, configureBare, startBareQemu } from "./bare-qemu.ts";
import { type Row, ratioRow, summarise } from "./stats.ts";
import { must, timed } from "./tools.ts";

const STOPS = 11;

/** `stop` end to end against the guest's own time from the request to the end of its process. */
export async function benchStop(home: RealHome, scratch: string): Promise<Row[]> {
  const ours: number[] = [];
  const bare: number[] = [];
  for (let i = 0; i < STOPS; i += 1) {
    await must(home, ["run", "-d", "-q", "--name", "stopped", "--memory", "512M"]);
    const { pid = 0 } = JSON.parse((await must(home, ["show", "--json", "stopped"])).stdout) as {
      pid?: number;
    };
    const argv = bareArgv(pid);
    ours.push(await timed(async () => await must(home, ["stop", "-q", "stopped"])));
    await must(home, ["rm", "stopped"]);
    bare.push(await barePoweroff(argv, join(scratch, `stop-${i}`)));
  }
  return [
    ratioRow("stop / the guest's power-off to the end of its process", summarise(ours), summarise(bare), 1.3),
  ];
}

async function barePoweroff(argv: readonly string[], dir: string): Promise<number> {
  await createDisk(join(dir, "disk.ext4"), 8 * 2 ** 30);
  await using qemu = await startBareQemu(argv, dir);
  const agent = await Agent.connect(qemu.channel, { fresh: true, signal: bootDeadline() });
  await configureBare(agent);
  return await timed(async () => {
    await agent.poweroff(8_000);
    await qemu.exited;
  });
}
