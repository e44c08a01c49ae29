/** The limits of a jailed hypervisor: with the real jailer, which has groups of its own if it is asked for them. */
import { describe, expect, test } from "bun:test";
import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Cgroups } from "../../src/host/cgroups.ts";
import { limitsOf } from "../../src/model/limits.ts";
import { createTestMachine } from "../../src/vmm/contract/bench.ts";
import { createFirecrackerDriver } from "../../src/vmm/firecracker/driver.ts";
import { createProbeKernel } from "../../src/vmm/firecracker/probe-guest.ts";
import { findRealPrograms } from "../support/firecracker-stub/real-programs.ts";
import { groupsExpected, groupsOf, NO_LIMITS } from "../support/groups.ts";

/** `hlt; jmp` to it. */
const IDLE = Uint8Array.of(0xf4, 0xeb, 0xfd);

const programs = findRealPrograms("limits of a jailed hypervisor (level 2)");
const fault = whyNot();
if (programs !== undefined && fault !== undefined)
  console.warn(`skipped: limits of a jailed hypervisor (level 2): ${fault}`);

describe.skipIf(programs === undefined || fault !== undefined)("limits of a jailed hypervisor", () => {
  test("hold from before its API answers until its end; the jailer makes no groups and leaves it where it is", async () => {
    await using stack = new AsyncDisposableStack();
    const directory = mkdtempSync(join(tmpdir(), "jail-limits-"));
    stack.defer(() => rmSync(directory, { recursive: true }));
    const id = `limits-${randomBytes(4).toString("hex")}`;
    const dir = { stateDir: join(directory, "state"), runtimeDir: join(directory, "run") };
    for (const path of Object.values(dir)) mkdirSync(path, { mode: 0o700 });
    const cgroups = new Cgroups();
    stack.defer(() => cgroups.removeGroup(id));
    const limits = limitsOf({ vcpus: 1, memoryMib: 64 }, { emulated: false });
    expect(cgroups.createGroup(id, limits)).toEqual([]);
    const driver = createFirecrackerDriver({
      verdictCachePath: join(directory, "verdicts.json"),
      chrootBase: join(directory, "jails"),
      binary: programs?.bin ?? "",
      jailerBinary: programs?.jailerBin ?? "",
      jailer: "on",
      kvm: { kind: "works" },
    });
    const problems: string[] = [];
    let socketsThen = true;
    const running = await driver.start(createTestMachine(id, directory, createProbeKernel(IDLE)), dir, {
      spawned: ({ pid }) => {
        problems.push(...cgroups.addProcess(id, pid));
        socketsThen = existsSync(join(directory, "jails/firecracker", `banger-${id}`, "root/api.sock"));
      },
    });
    const { pid } = running.handles.process;
    expect(problems).toEqual([]);
    expect(socketsThen).toBe(false);
    expect(groupsOf(id)).toEqual(groupsExpected(id));
    for (const group of groupsOf(id)) {
      expect(readFileSync(`${group}/cgroup.procs`, "utf8").trim()).toBe(String(pid));
    }
    const own = readFileSync("/proc/self/cgroup", "utf8").split("\n").sort();
    const theirs = readFileSync(`/proc/${pid}/cgroup`, "utf8").replaceAll(/\/?banger-limits-[0-9a-f]+/g, "");
    // Where it is not in its own group, it is where we are.
    expect(theirs.replaceAll(/:$/gm, ":/").split("\n").sort()).toEqual(own);
    await running.kill();
  });
});

function whyNot(): string | undefined {
  if (process.geteuid?.() !== 0) return "it needs root";
  if (programs?.jailerBin === undefined) return "there is no jailer";
  if (!existsSync("/dev/kvm")) return "there is no /dev/kvm";
  return NO_LIMITS;
}
