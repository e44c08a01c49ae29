/** One VM: how much banger adds to a boot, to a command, and to an empty program. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { Agent } from "../src/guest/agent.ts";
import { parseExecResult } from "../src/guest/commands.ts";
import { createDisk } from "../src/storage/disks.ts";
import type { RealHome } from "../test/support/real-home.ts";
import { bareArgv, bootDeadline, configureBare, startBareQemu } from "./bare-qemu.ts";
import { differenceRow, limitRow, type Row, ratioRow, summarise } from "./stats.ts";
import { must, ROOT, spawn, timed } from "./tools.ts";

const BOOTS = 7;
const QUICK = 40;
const EXECS = 30;

/** `binary`: the built program. */
export async function benchStart(
  home: RealHome,
  options: { binary: string; scratch: string },
): Promise<Row[]> {
  // The bare command line is taken from this VM, so that both sides boot the same machine.
  await must(home, ["run", "-d", "-q", "--name", "bench", "--memory", "512M"]);
  const { pid = 0 } = JSON.parse((await must(home, ["show", "--json", "bench"])).stdout) as { pid?: number };
  const argv = bareArgv(pid);
  const { rssBytes } = await (await home.client()).daemonStatus();
  const rows = [
    await benchVersion(options.binary, options.scratch),
    await benchExec(home, { argv, scratch: options.scratch }),
    limitRow("daemon memory with one VM running, MiB", rssBytes / 2 ** 20, {}),
  ];
  await must(home, ["rm", "-f", "bench"]);
  return [await benchRun(home, { argv, scratch: options.scratch }), ...rows];
}

interface Bare {
  /** QEMU's command line. */
  readonly argv: readonly string[];
  readonly scratch: string;
}

/** `run --rm -- true` against the same QEMU command line to the agent's first message, taking turns. */
async function benchRun(home: RealHome, { argv, scratch }: Bare): Promise<Row> {
  const argvFile = join(scratch, "argv.json");
  writeFileSync(argvFile, JSON.stringify(argv));
  const ours: number[] = [];
  const bare: number[] = [];
  for (let i = 0; i < BOOTS; i += 1) {
    const dir = join(scratch, `boot-${i}`);
    await createDisk(join(dir, "disk.ext4"), 8 * 2 ** 30);
    bare.push(
      await timed(
        async () => await spawn([process.execPath, join(ROOT, "bench/bare-boot.ts"), argvFile, dir]),
      ),
    );
    ours.push(
      await timed(async () => await must(home, ["run", "--rm", "-q", "--memory", "512M", "--", "true"])),
    );
    process.stderr.write(
      `boot ${i + 1}/${BOOTS}: bare ${bare.at(-1)?.toFixed(0)} ms, banger ${ours.at(-1)?.toFixed(0)} ms\n`,
    );
  }
  return ratioRow(
    "run --rm -- true / bare QEMU to the agent's first message",
    summarise(ours),
    summarise(bare),
    1.35,
  );
}

/** `version` of the built binary against an empty script. */
async function benchVersion(binary: string, scratch: string): Promise<Row> {
  const empty = join(scratch, "empty.ts");
  writeFileSync(empty, "");
  const ours: number[] = [];
  const bare: number[] = [];
  for (let i = 0; i < QUICK; i += 1) {
    bare.push(await timed(async () => await spawn([process.execPath, empty])));
    ours.push(await timed(async () => await spawn([binary, "version"])));
  }
  return ratioRow("version / an empty Bun script", summarise(ours), summarise(bare), 2.5);
}

/** `exec VM -- true` against the agent doing the same for a client on its channel. */
async function benchExec(home: RealHome, { argv, scratch }: Bare): Promise<Row> {
  const dir = join(scratch, "exec");
  await createDisk(join(dir, "disk.ext4"), 8 * 2 ** 30);
  await using qemu = await startBareQemu(argv, dir);
  const agent = await Agent.connect(qemu.channel, { fresh: true, signal: bootDeadline() });
  await configureBare(agent);
  const spec = { argv: ["true"], env: {}, cwd: undefined, user: undefined, tty: undefined, timeoutMs: 0 };
  const direct = async (id: string): Promise<void> => {
    const stream = agent.exec(id, spec, {});
    stream.sendEnd();
    parseExecResult(await stream.result);
  };
  const ours: number[] = [];
  const bare: number[] = [];
  for (let i = 0; i < EXECS; i += 1) {
    bare.push(await timed(async () => await direct(`e${i}`)));
    ours.push(await timed(async () => await must(home, ["exec", "bench", "--", "true"])));
  }
  agent.close();
  return differenceRow("exec VM -- true / the agent alone", summarise(ours), summarise(bare), 40);
}
