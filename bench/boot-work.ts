/**
 * What a network card costs a guest that boots, counted in its instructions: this machine's clock cannot tell so little from its own noise.
 * QEMU alone boots the machine with `-icount`, where the guest's clock is the count (docs/devel/tcg-icount of QEMU).
 */
import { join } from "node:path";
import { Agent } from "../src/guest/agent.ts";
import type { GuestCard } from "../src/guest/snapshot.ts";
import { createDisk } from "../src/storage/disks.ts";
import { bootDeadline, configureBare, startBareQemu } from "./bare-qemu.ts";

const BOOTS = 4;
/** clock_gettime(2) of CLOCK_MONOTONIC, in seconds. */
const CLOCK = "use Time::HiRes; print Time::HiRes::clock_gettime(1)";

export interface BootWork {
  /** Instructions until a first command has run, of the boot with the fewest. */
  readonly withCard: number;
  readonly without: number;
}

/** `argv`: QEMU's command line with a card (see `bareArgv`); `card`: the guest's place. Emulation only. */
export async function countBootWork(
  argv: readonly string[],
  { card, scratch }: { readonly card: GuestCard; readonly scratch: string },
): Promise<BootWork> {
  const counted = countingArgv(argv);
  const counts = { withCard: [] as number[], without: [] as number[] };
  for (let at = 0; at < BOOTS; at += 1) {
    counts.withCard.push(await bootOnce(counted, { dir: join(scratch, `card-${at}`), card }));
    counts.without.push(await bootOnce(withoutCard(counted), { dir: join(scratch, `none-${at}`) }));
    process.stderr.write(
      `boot ${at + 1}/${BOOTS}: ${counts.withCard.at(-1)} instructions with a card, ${counts.without.at(-1)} without\n`,
    );
  }
  // Waits for the host stretch a count, nothing shortens it.
  return { withCard: Math.min(...counts.withCard), without: Math.min(...counts.without) };
}

/** One instruction a nanosecond of the guest's clock, which needs all processors in one thread. */
function countingArgv(argv: readonly string[]): string[] {
  return [
    ...argv.map((word) => word.replace("thread=multi", "thread=single")),
    "-icount",
    "shift=0,sleep=on",
  ];
}

function withoutCard(argv: readonly string[]): string[] {
  const isCard = (word = ""): boolean => word.startsWith("tap,") || word.includes("virtio-net");
  return argv.filter((word, at) => !isCard(word) && !(word.startsWith("-") && isCard(argv[at + 1])));
}

async function bootOnce(
  argv: readonly string[],
  { dir, card }: { readonly dir: string; readonly card?: GuestCard },
): Promise<number> {
  await createDisk(join(dir, "disk.ext4"), 8 * 2 ** 30);
  await using qemu = await startBareQemu(argv, dir);
  const agent = await Agent.connect(qemu.channel, { fresh: true, signal: bootDeadline() });
  await configureBare(agent, card);
  let said = "";
  const spec = { argv: ["perl", "-e", CLOCK], env: {}, cwd: undefined, user: undefined, tty: undefined };
  const stream = agent.exec(
    "clock",
    { ...spec, timeoutMs: 0 },
    { onData: (_channel, bytes) => (said += Buffer.from(bytes).toString()) },
  );
  stream.sendEnd();
  await stream.result;
  agent.close();
  return Math.round(Number(said) * 1e9);
}
