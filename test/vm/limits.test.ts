/** A real hypervisor in its group: moved there, held to the files' limits, and gone without a trace. */
import { describe, expect, test } from "bun:test";
import { readFileSync } from "node:fs";
import { limitsOf } from "../../src/model/limits.ts";
import { controlOf, groupsExpected, groupsOf, HELD, NO_LIMITS } from "../support/groups.ts";
import { killToTheEnd } from "../support/processes.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";

if (NO_LIMITS !== undefined) console.warn(`skipped: limits of real hypervisors: ${NO_LIMITS}`);

interface Shown {
  readonly id: string;
  readonly pid: number;
  readonly spec: { readonly vcpus: number; readonly memoryMib: number };
}

async function show(home: RealHome): Promise<Shown> {
  return JSON.parse((await home.banger(["show", "--json", "web"])).stdout) as Shown;
}

async function expectLimited(home: RealHome): Promise<Shown> {
  const vm = await show(home);
  expect(groupsOf(vm.id)).toEqual(groupsExpected(vm.id));
  for (const group of groupsOf(vm.id)) {
    expect(readFileSync(`${group}/cgroup.procs`, "utf8").trim()).toBe(String(vm.pid));
  }
  return vm;
}

describe.skipIf(NO_LIMITS !== undefined)("limits of a real hypervisor", () => {
  test("its pid is in the groups, they hold the limits, and they are gone after stop, rm -f and a crash", async () => {
    await using home = await createRealHome();
    expect(
      await home.banger(["run", "-d", "--name", "web", "--vcpus", "1", "--memory", "256M"]),
    ).toMatchObject({
      code: 0,
    });
    const { id, pid, spec } = await expectLimited(home);
    const doctor = JSON.parse((await home.banger(["doctor", "--json"])).stdout) as {
      capabilities: Record<string, unknown>;
    };
    const limits = limitsOf(spec, { emulated: doctor.capabilities["accelerator"] === "tcg" });
    for (const name of HELD.filter((one) => one !== "io")) {
      expect(doctor.capabilities[`limits.${name}`]).toBe(true);
    }
    const held = {
      memory: [{ v1: "memory.limit_in_bytes", v2: "memory.max" }, String(limits.memoryBytes)],
      cpu: [{ v1: "cpu.cfs_quota_us", v2: "cpu.max" }, String(limits.cpuCores * 100_000)],
      pids: [{ v1: "pids.max", v2: "pids.max" }, String(limits.pids)],
    } as const;
    for (const [name, [names, value]] of Object.entries(held)) {
      const limit = name as keyof typeof held;
      if (HELD.includes(limit)) expect(controlOf(id, limit, names)).toStartWith(value);
    }
    // The daemon is where it was: with us, or where its starter had it.
    const daemon = await home.daemonPid();
    expect(readFileSync(`/proc/${daemon}/cgroup`, "utf8")).toBe(readFileSync("/proc/self/cgroup", "utf8"));
    expect(readFileSync(`/proc/${pid}/cgroup`, "utf8")).toContain(`/banger-${id}\n`);

    expect(await home.banger(["stop", "web"])).toMatchObject({ code: 0 });
    expect(groupsOf(id)).toEqual([]);

    // A daemon that is killed leaves the hypervisor in its groups; the next one finds both.
    expect(await home.banger(["start", "web"])).toMatchObject({ code: 0 });
    await killToTheEnd(await home.daemonPid());
    const again = await expectLimited(home);
    await killToTheEnd(await home.daemonPid());
    await killToTheEnd(again.pid);
    expect(JSON.parse((await home.banger(["show", "--json", "web"])).stdout)).toMatchObject({
      state: "stopped",
    });
    expect(groupsOf(id)).toEqual([]);

    expect(await home.banger(["start", "web"])).toMatchObject({ code: 0 });
    await expectLimited(home);
    expect(await home.banger(["rm", "-f", "web"])).toMatchObject({ code: 0 });
    expect(groupsOf(id)).toEqual([]);
  });
});
