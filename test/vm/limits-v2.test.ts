/**
 * cgroup version 2 as a real kernel has it: the guest of a real VM is the host on which the code that makes groups runs, as
 * root and as an ordinary user to whom a part of the tree is delegated, or nothing.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { LimitsProbe } from "../support/limits-probe.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";

/** The part of the tree that a service manager would hand to the user 1000, with the daemon's processes below it. */
const DELEGATE = `set -e
  grep -q cgroup2 /proc/mounts || mount -t cgroup2 none /sys/fs/cgroup
  cd /sys/fs/cgroup; echo "+memory +cpu +pids +io" > cgroup.subtree_control
  mkdir unit unit/daemon session
  chown 1000:1000 unit unit/cgroup.procs unit/cgroup.subtree_control
  chmod 755 /tmp/probe`;
const AS_USER = "setpriv --reuid 1000 --regid 1000 --clear-groups /tmp/probe";
const FILES = [
  `memory.max=${(256 + 16 + 256) * 2 ** 20}`,
  "cpu.max=200000 100000",
  "pids.max=512",
  "io.weight=default 100",
];

let home: RealHome;
beforeAll(async () => {
  home = await createRealHome();
  await home.must(["run", "-d", "--name", "host", "--memory", "1G"]);
  await sh("cat > /tmp/probe", buildProbe());
  await sh(DELEGATE);
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

/** The probe with its runtime, as one file. */
function buildProbe(): Uint8Array {
  const dir = mkdtempSync(join(tmpdir(), "banger-probe-"));
  const program = join(dir, "probe");
  const source = join(import.meta.dir, "../support/limits-probe.ts");
  const args = ["build", "--compile", `--outfile=${program}`, source];
  try {
    const { success, stderr } = Bun.spawnSync([process.execPath, ...args], { cwd: dir });
    if (!success) throw new Error(`building the probe failed: ${stderr.toString()}`);
    return readFileSync(program);
  } finally {
    rmSync(dir, { recursive: true, force: true });
  }
}

async function sh(script: string, stdin?: Uint8Array): Promise<string> {
  const result = await home.banger(
    ["exec", "host", "--", "sh", "-c", script],
    stdin === undefined ? {} : { stdin },
  );
  if (result.code !== 0) throw new Error(`${script}: ${result.stderr}`);
  return result.stdout;
}

async function probeIn(group: string, command: string): Promise<LimitsProbe> {
  return JSON.parse(
    await sh(`echo $$ > /sys/fs/cgroup/${group}/cgroup.procs; exec ${command}`),
  ) as LimitsProbe;
}

test("root limits everything, from the daemon's own group or the one above", async () => {
  const probe = await probeIn("session", "/tmp/probe");
  expect(probe).toMatchObject({ problems: [], moved: "/banger-0123456789ab", self: "/session", left: [] });
  expect(probe.files).toEqual(FILES);
  expect(probe.endedBy).toBe("SIGKILL");
});

test("a user limits everything in a unit that is delegated to him, and stays where he is", async () => {
  const probe = await probeIn("unit/daemon", AS_USER);
  expect(probe).toMatchObject({
    problems: [],
    moved: "/unit/banger-0123456789ab",
    self: "/unit/daemon",
    left: [],
  });
  expect(probe.files).toEqual(FILES);
  expect(probe.endedBy).toBe("SIGKILL");
  expect(probe.capabilities).toMatchObject({
    "limits.memory": true,
    "limits.cpu": true,
    "limits.pids": true,
  });
});

test("a user to whom nothing is delegated limits nothing: no problem, and doctor has the cure", async () => {
  const probe = await probeIn("session", AS_USER);
  expect(probe).toMatchObject({ problems: [], moved: "/session", self: "/session", files: [], left: [] });
  expect(new Set(Object.values(probe.capabilities ?? {}))).toEqual(new Set([false]));
  expect(probe.cures).toEqual([expect.stringContaining("Delegate=yes")]);
});
