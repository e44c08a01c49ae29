/** Limits as the kernel enforces them, with the fake hypervisor, whose guest's commands are processes of its group. */
import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { Machine } from "../../src/model/machine.ts";
import type { Client } from "../../src/sdk/client.ts";
import type { Exit } from "../../src/sdk/command.ts";
import type { Fault } from "../../src/vmm/fake/driver.ts";
import { groupsExpected, groupsOf, HELD, NO_LIMITS } from "../support/groups.ts";
import { killToTheEnd } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

if (NO_LIMITS !== undefined) console.warn(`skipped: limits of hypervisors: ${NO_LIMITS}`);
if (!HELD.includes("memory")) console.warn("skipped: the memory limit: there is no such controller here");
if (!HELD.includes("pids")) console.warn("skipped: the pids limit: there is no such controller here");

/** Forks 600 children that wait, then kills them all; says how far it came. */
const FORKS = `my @all;
  for (1 .. 600) { my $pid = fork; last unless defined $pid; if (!$pid) { sleep } push @all, $pid }
  print scalar @all; kill "KILL", @all;`;
/** Touches 512 MiB: more than a VM of 128 MiB may, with its hypervisor. */
const HOARDS = `my $all = ""; $all .= "x" x 1048576 for 1 .. 512; print length $all`;

async function perl(client: Client, script: string): Promise<{ exit: Exit | undefined; stdout: string }> {
  let stdout = "";
  const onStdout = (bytes: Uint8Array): void => void (stdout += Buffer.from(bytes).toString());
  const exit = await client.exec("box", { argv: ["perl", "-e", script] }, { onStdout }).exit;
  return { stdout, exit };
}

describe.skipIf(!HELD.includes("pids"))("the limit on pids", () => {
  test("a hypervisor cannot have more than 512 processes and threads", async () => {
    await using daemon = await createTestDaemon();
    await daemon.addImage("img");
    await daemon.client.createVm({ name: "box", image: "img" });
    const { stdout } = await perl(daemon.client, FORKS);
    expect(Number(stdout)).toBeGreaterThan(400);
    expect(Number(stdout)).toBeLessThan(512);
    expect((await daemon.client.showVm("box")).state).toBe("running");
  });
});

describe.skipIf(!HELD.includes("memory"))("the limit on memory", () => {
  test("what takes more memory than its group may is killed, alone", async () => {
    await using daemon = await createTestDaemon();
    await daemon.addImage("img");
    await daemon.client.createVm({ name: "box", image: "img", memoryMib: 128 });
    await daemon.client.createVm({ name: "neighbour", image: "img" });
    expect((await perl(daemon.client, HOARDS)).exit).toMatchObject({ exitCode: 137, signal: "KILL" });
    expect((await daemon.client.showVm("neighbour")).state).toBe("running");
  });
});

describe.skipIf(NO_LIMITS !== undefined)("limits", () => {
  test("the groups are there from start to stop, and again from the next start to rm -f", async () => {
    await using daemon = await createTestDaemon();
    await daemon.addImage("img");
    const { id } = await daemon.client.createVm({ name: "box", image: "img" });
    expect(groupsOf(id)).toEqual(groupsExpected(id));
    await daemon.client.stopVm("box", { timeoutMs: 0 });
    expect(groupsOf(id)).toEqual([]);
    await daemon.client.startVm("box");
    expect(groupsOf(id)).toEqual(groupsExpected(id));
    await daemon.client.removeVm("box", { force: true });
    expect(groupsOf(id)).toEqual([]);
  });

  test("a start that fails leaves no group, and neither does a VM that died while no daemon ran", async () => {
    const faults = (machine: Machine): Fault | undefined =>
      machine.vcpus === 7 ? "exit-at-once" : undefined;
    const first = await createTestDaemon({ driver: { faults } });
    await first.addImage("img");
    await refusal(first.client.createVm({ name: "odd", image: "img", vcpus: 7 }), "unavailable");
    expect(groupsOf((await first.client.showVm("odd")).id)).toEqual([]);
    const { id, pid = 0 } = await first.client.createVm({ name: "box", image: "img" });
    await first.crash();
    await killToTheEnd(pid);
    await using second = await createTestDaemon({ home: first.home });
    expect((await second.client.showVm("box")).state).toBe("stopped");
    expect(groupsOf(id)).toEqual([]);
  });

  test("a process that the hypervisor left behind ends with the group", async () => {
    await using daemon = await createTestDaemon();
    await daemon.addImage("img");
    const { id } = await daemon.client.createVm({ name: "box", image: "img" });
    const left = spawn("sleep", ["1000"]);
    const ended = once(left, "exit");
    for (const group of groupsOf(id)) writeFileSync(`${group}/cgroup.procs`, String(left.pid));
    await daemon.client.removeVm("box", { force: true });
    expect(await ended).toEqual([null, "SIGKILL"]);
    expect(groupsOf(id)).toEqual([]);
  });
});
