/**
 * The benchmark: banger against something real that runs in the same minutes on the same machine. Prints a table and the
 * same as JSON. Times of a shared machine mean little; the figures of the last columns are what counts. Exit code 1 when a
 * target is missed.
 */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dir, "..");
const BINARY = join(ROOT, "dist/banger");
// The homes of the test support run this program.
process.env["BANGER_PROGRAM"] = BINARY;

const { createRealHome } = await import("../test/support/real-home.ts");
const { createDisk } = await import("../src/storage/disks.ts");
const { Agent, parseExecResult } = await import("../src/guest/agent.ts");
const { bareArgv, startBareQemu } = await import("./bare-qemu.ts");
const { differenceRow, ratioRow, renderRows, summarise } = await import("./stats.ts");

const BOOTS = 7;
const QUICK = 40;
const EXECS = 30;

const { stdout: built } = Bun.spawnSync([process.execPath, join(ROOT, "scripts/build.ts")], {
  stderr: "inherit",
});
process.stderr.write(built);
const scratch = mkdtempSync("/tmp/banger-bench-");
await using home = await createRealHome();
try {
  // Size as small as tests use it; the same for both sides, because the bare command line is taken from this VM.
  await must(["run", "-d", "-q", "--name", "bench", "--memory", "512M"]);
  const { pid = 0 } = JSON.parse((await must(["show", "--json", "bench"])).stdout) as { pid?: number };
  const argv = bareArgv(pid);
  const daemon = JSON.parse((await must(["daemon", "status", "--json"])).stdout) as { rssBytes: number };
  const rows = [await benchVersion(), await benchExec(argv)];
  await must(["rm", "-f", "bench"]);
  rows.unshift(await benchRun(argv));
  const daemonMib = Math.round(daemon.rssBytes / 2 ** 20);
  console.log(`${renderRows(rows)}\n\ndaemon memory with one VM running: ${daemonMib} MiB\n`);
  console.log(JSON.stringify({ rows, daemonRssBytes: daemon.rssBytes }));
  process.exitCode = rows.every((row) => row.met) ? 0 : 1;
} finally {
  rmSync(scratch, { recursive: true, force: true });
}

async function must(args: readonly string[]) {
  const result = await home.banger(args);
  if (result.code !== 0) throw new Error(`banger ${args.join(" ")}: ${result.stderr}`);
  return result;
}

/** `run --rm -- true` against the same QEMU command line to the agent's first message, taking turns. */
async function benchRun(argv: readonly string[]) {
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
    ours.push(await timed(async () => await must(["run", "--rm", "-q", "--memory", "512M", "--", "true"])));
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
async function benchVersion() {
  const empty = join(scratch, "empty.ts");
  writeFileSync(empty, "");
  const ours: number[] = [];
  const bare: number[] = [];
  for (let i = 0; i < QUICK; i += 1) {
    bare.push(await timed(async () => await spawn([process.execPath, empty])));
    ours.push(await timed(async () => await spawn([BINARY, "version"])));
  }
  return ratioRow("version / an empty Bun script", summarise(ours), summarise(bare), 2.5);
}

/** `exec VM -- true` against the agent doing the same for a client on its channel. */
async function benchExec(argv: readonly string[]) {
  const dir = join(scratch, "exec");
  await createDisk(join(dir, "disk.ext4"), 8 * 2 ** 30);
  await using qemu = await startBareQemu(argv, dir);
  const signal = new AbortController().signal;
  const agent = await Agent.connect(qemu.channel, { fresh: true, signal });
  await agent.configure({
    hostname: "bare",
    init: "agent",
    rootfs: { disk: "rootfs", type: "squashfs" },
    writable: { disk: "disk", type: "ext4" },
    env: { PATH: "/usr/bin:/bin" },
    hosts: [],
    poweroff: "acpi",
  });
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
    ours.push(await timed(async () => await must(["exec", "bench", "--", "true"])));
  }
  agent.close();
  return differenceRow("exec VM -- true / the agent alone", summarise(ours), summarise(bare), 40);
}

async function spawn(argv: string[]): Promise<void> {
  const child = Bun.spawn(argv, { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  if ((await child.exited) !== 0) throw new Error(`${argv.join(" ")} failed`);
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const from = performance.now();
  await work();
  return performance.now() - from;
}
