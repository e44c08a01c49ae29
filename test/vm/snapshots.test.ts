/** Templates, snapshots and forks of real guests, through bin/banger. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { type CliResult, createRealHome, type RealHome } from "../support/real-home.ts";
import { templateMade } from "../support/template-made.ts";

const COUNT = "i=0; while :; do i=$((i+1)); echo $i >>/dev/shm/count; sleep 0.2; done";
const SMALL = ["--memory", "256M", "--disk", "1G"] as const;
const FORKS = ["try-1", "try-2", "try-3", "try-4"] as const;

describe("a home that has a template", () => {
  let home: RealHome;
  const must = async (args: readonly string[]): Promise<string> => done(args, await home.banger(args));
  const sh = async (vm: string, script: string): Promise<string> =>
    await must(["exec", vm, "--", "sh", "-c", script]);
  const last = async (vm: string): Promise<number> => Number(await sh(vm, "tail -n1 /dev/shm/count"));
  const steps = async (vm: string): Promise<string[]> => {
    const { startSteps } = JSON.parse(await must(["show", "--json", vm])) as {
      startSteps: { name: string }[];
    };
    return startSteps.map(({ name }) => name);
  };

  beforeAll(async () => {
    home = await createRealHome({ templates: true });
    const made = templateMade(home.home);
    expect(await must(["run", "--rm", "-q", ...SMALL, "--", "echo", "cold"])).toBe("cold");
    await made;
  });
  afterAll(async () => {
    await must(["template", "prune"]);
    await home[Symbol.asyncDispose]();
  });

  /** A warm run of a VM of its own. */
  const run = (...words: readonly string[]): string[] => ["run", "--rm", ...SMALL, ...words];

  test("run goes on from it, and is what a VM that booted is", async () => {
    const script =
      "hostname; echo $COLOUR; cat /etc/machine-id; getent hosts warm; date +%s; wc -c </etc/hosts";
    const { code, stdout, stderr } = await home.banger(
      run("--name", "warm", "-e", "COLOUR=green", "--", "sh", "-c", script),
    );
    expect(code).toBe(0);
    expect(stderr).not.toContain("configure");
    const [hostname, colour, machineId, hosts, seconds] = stdout.split("\n");
    expect([hostname, colour]).toEqual(["warm", "green"]);
    expect(machineId).toMatch(/^[0-9a-f]{32}$/);
    expect(hosts).toContain("warm.vm");
    expect(Math.abs(Number(seconds) * 1000 - Date.now())).toBeLessThan(20_000);
    const cold = await home.banger(["run", "--rm", "-q", "--cold", ...SMALL, "--", "wc", "-l", "/etc/hosts"]);
    const warm = await home.banger(["run", "--rm", "-q", ...SMALL, "--", "wc", "-l", "/etc/hosts"]);
    expect(warm.stdout).toBe(cold.stdout);
  });

  test("a larger disk grows after it went on; stopped and started, it boots with what it wrote", async () => {
    await must(["run", "-d", "-q", "--name", "large", "--memory", "256M", "--disk", "3G"]);
    expect(await steps("large")).toContain("grow");
    const mib = Number(await sh("large", "df -m --output=size / | tail -n1"));
    expect(mib).toBeGreaterThan(2_500);
    const id = await sh("large", "cat /etc/machine-id");
    await sh("large", "echo kept >/root/file");
    await must(["stop", "-q", "large"]);
    await must(["start", "-q", "large"]);
    expect(await steps("large")).toContain("configure");
    expect(await sh("large", "cat /root/file /etc/machine-id; hostname")).toBe(`kept\n${id}\nlarge`);
    await must(["rm", "-f", "large"]);
  });

  test("clones at once draw distinct random bytes and have distinct ids", async () => {
    const script = "od -An -N16 -tx1 /dev/urandom; cat /proc/sys/kernel/random/boot_id /etc/machine-id";
    const draws = await Promise.all(
      Array.from({ length: 6 }, () => must(run("-q", "--", "sh", "-c", script))),
    );
    const lines = draws.flatMap((draw) => draw.split("\n"));
    expect(new Set(lines).size).toBe(lines.length);
    expect(lines).toHaveLength(18);
  });

  test("a counter that is forked four times goes on four times, and in the parent", async () => {
    await must(["run", "-d", "-q", "--name", "parent", ...SMALL]);
    await sh("parent", `nohup sh -c '${COUNT}' >/dev/null 2>&1 &`);
    await sh("parent", "echo before >/root/file; until [ -s /dev/shm/count ]; do :; done");
    const before = await last("parent");
    const forked = await home.banger(["fork", "parent", "-n", "4", "--name", "try"]);
    expect(done(["fork"], forked)).toBe(FORKS.join("\n"));
    expect(forked.stderr).toContain("parent stood still for");
    const identities = new Set<string>();
    for (const vm of [...FORKS, "parent"]) {
      const count = await last(vm);
      expect(count).toBeGreaterThanOrEqual(before);
      await sh(vm, `until [ "$(tail -n1 /dev/shm/count)" -gt ${count} ]; do :; done`);
      expect(await sh(vm, "cat /root/file; hostname")).toBe(`before\n${vm}`);
      identities.add(await sh(vm, "cat /etc/machine-id /proc/sys/kernel/random/boot_id"));
      await sh(vm, `echo ${vm} >/root/file; sync`);
    }
    expect(identities.size).toBe(5);
    for (const vm of [...FORKS, "parent"]) expect(await sh(vm, "cat /root/file")).toBe(vm);
    await must(["rm", "-f", ...FORKS]);
    expect(readdirSync(join(home.home, "snapshots"))).toEqual([]);
  });

  test("a snapshot takes its VM back, disk and memory, and makes another", async () => {
    await sh("parent", "echo saved >/root/file; echo saved >/dev/shm/mark; sync");
    await must(["snapshot", "create", "-q", "parent", "ready"]);
    await sh("parent", "echo later >/root/file; rm /dev/shm/mark; sync");
    const sleeper = home.start(["exec", "parent", "--", "sh", "-c", "echo ready >&2; exec sleep 1000"]);
    await sleeper.said("ready");
    await must(["snapshot", "restore", "-q", "parent", "ready"]);
    const ended = await sleeper.result;
    expect([ended.code, ended.stderr.includes("taken back to its snapshot ready")]).toEqual([125, true]);
    const read = "cat /root/file /dev/shm/mark; hostname";
    expect(await sh("parent", read)).toBe("saved\nsaved\nparent");
    const seconds = Number(await sh("parent", "date +%s%3N"));
    expect(Math.abs(seconds - Date.now())).toBeLessThan(20_000);
    await must(["rm", "-f", "parent"]);
    const other = ["run", "--rm", "-q", "--name", "other", "--snapshot", "ready", "--", "sh", "-c", read];
    expect(await must(other)).toBe("saved\nsaved\nother");
    await must(["snapshot", "rm", "ready"]);
  });

  test("a template that is damaged is discarded, and the command runs all the same", async () => {
    const dir = join(home.home, "templates");
    const [id = ""] = readdirSync(dir).filter((name) => name.endsWith("-1024"));
    const state = Bun.file(join(dir, id, "machine/state"));
    const bytes = new Uint8Array(await state.arrayBuffer());
    bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
    await Bun.write(state, bytes);
    const made = templateMade(home.home);
    expect(await must(["run", "--rm", "-q", ...SMALL, "--", "echo", "still"])).toBe("still");
    await made;
  });
});

function done(args: readonly string[], { code, stdout, stderr }: CliResult): string {
  if (code !== 0) throw new Error(`banger ${args.join(" ")}: ${code}: ${stderr}`);
  return stdout.trim();
}
