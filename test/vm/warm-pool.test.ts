/** Real guests of the warm pool, through bin/banger: who takes one has a machine of its own, sooner. */
import { expect, test } from "bun:test";
import { createRealHome, type RealHome } from "../support/real-home.ts";

const POOL = 2;
const ENV = {
  BANGER_WARM_POOL: JSON.stringify({ debian: POOL }),
  BANGER_VM_DEFAULTS_MEMORY: "256M",
  BANGER_VM_DEFAULTS_DISK: "1G",
};
const SAY =
  "hostname; cat /etc/machine-id /proc/sys/kernel/random/boot_id; od -An -N16 -tx1 /dev/urandom; date +%s; echo $COLOUR";

test("VMs that take a clone are themselves: name, ids, random bytes, time, environment and disk", async () => {
  await using home = await createRealHome({ templates: true });
  await must(home, ["daemon", "start"]);
  await untilReady(home);
  const seen: string[] = [];
  for (const name of ["one", "two"]) {
    const run = ["run", "--rm", "--name", name, "--disk", "2G", "-e", "COLOUR=green", "--", "sh", "-c", SAY];
    const stdout = await must(home, run);
    const [hostname, machineId, bootId, random, seconds, colour] = stdout.split("\n");
    expect([hostname, colour]).toEqual([name, "green"]);
    expect(Math.abs(Number(seconds) * 1000 - Date.now())).toBeLessThan(20_000);
    seen.push(machineId ?? "", bootId ?? "", random ?? "");
    await untilReady(home);
  }
  expect(new Set(seen).size).toBe(6);
  await must(home, ["run", "-d", "-q", "--name", "kept"]);
  const { startSteps } = await (await home.client()).showVm("kept");
  expect(startSteps.map(({ name }) => name)).toContain("take");
  await must(home, ["exec", "kept", "--", "sh", "-c", "echo kept >/root/file"]);
  await must(home, ["restart", "-q", "kept"]);
  expect(await must(home, ["exec", "kept", "--", "sh", "-c", "cat /root/file; hostname"])).toBe("kept\nkept");
  await untilReady(home);
  expect(home.hypervisors()).toHaveLength(POOL + 1);
  await must(home, ["daemon", "stop"]);
  expect(home.hypervisors()).toHaveLength(1);
});

async function must(home: RealHome, args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await home.banger(args, { env: ENV });
  if (code !== 0) throw new Error(`banger ${args.join(" ")}: ${code}: ${stderr}`);
  return stdout.trim();
}

/** Asks until the pool is full: the daemon says it to nobody who does not ask. */
async function untilReady(home: RealHome): Promise<void> {
  const client = await home.client();
  while (!(await client.listTemplates()).some(({ pooled }) => pooled === POOL));
}
