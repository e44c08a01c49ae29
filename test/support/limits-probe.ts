/** A program of its own for another kernel: makes a group, puts a process into it, removes it, and prints what it saw as JSON. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readFileSync } from "node:fs";
import { Cgroups, type Problems } from "../../src/host/cgroups.ts";
import { checkLimits } from "../../src/host/limits-check.ts";
import { limitsOf } from "../../src/model/limits.ts";

export interface LimitsProbe {
  readonly capabilities: Readonly<Record<string, boolean | string>> | undefined;
  readonly cures: readonly (string | undefined)[];
  readonly problems: Problems;
  /** The group of the process that was moved, and of the program itself. */
  readonly moved: string;
  readonly self: string;
  /** `FILE=TEXT` of the limits, as the kernel shows them. */
  readonly files: readonly string[];
  readonly endedBy: unknown;
  readonly left: readonly string[];
}

const ID = "0123456789ab";
const FILES = ["memory.max", "cpu.max", "pids.max", "io.weight"];

async function probe(): Promise<LimitsProbe> {
  const cgroups = new Cgroups();
  const groups = cgroups.places.places.map((place) => `${place.parent}/banger-${ID}`);
  const { rows, capabilities } = await checkLimits(() => cgroups.places)();
  const made = cgroups.createGroup(ID, limitsOf({ vcpus: 1, memoryMib: 256 }, { emulated: false }));
  const child = spawn("sleep", ["1000"], { stdio: "ignore" });
  const ended = once(child, "exit");
  const added = cgroups.addProcess(ID, child.pid ?? 0);
  const moved = membership(String(child.pid));
  const files = groups.flatMap((group) =>
    FILES.filter((file) => existsSync(`${group}/${file}`)).map(
      (file) => `${file}=${text(`${group}/${file}`)}`,
    ),
  );
  await cgroups.removeGroup(ID);
  await cgroups.removeGroup(ID);
  if (groups.length === 0) child.kill("SIGTERM");
  const [, endedBy] = await ended;
  const left = groups.filter((group) => existsSync(group));
  const cures = rows.map((row) => row.cure);
  return {
    capabilities,
    cures,
    problems: [...made, ...added],
    moved,
    self: membership("self"),
    files,
    endedBy,
    left,
  };
}

function membership(pid: string): string {
  return text(`/proc/${pid}/cgroup`).replace("0::", "");
}

function text(path: string): string {
  return readFileSync(path, "utf8").trim();
}

if (import.meta.main) process.stdout.write(`${JSON.stringify(await probe())}\n`);
