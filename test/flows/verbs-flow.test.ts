/** Every verb of a VM's life through client and server, with the fake hypervisor and the real agent. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Vm, VmEvent } from "../../src/api/types/vms.ts";
import { OPERATIONS, TABLE } from "../../src/model/state-machine.ts";
import { VM_STATES } from "../../src/model/vm.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon, type TestDaemon } from "../support/test-daemon.ts";

async function withVm(over: Parameters<typeof createTestDaemon>[0] = {}) {
  const daemon = await createTestDaemon(over);
  await daemon.addImage("img");
  const vm = await daemon.client.createVm({ name: "web", image: "img", diskMib: 64 });
  return {
    daemon,
    vm,
    client: daemon.client,
    [Symbol.asyncDispose]: async () => await daemon[Symbol.asyncDispose](),
  };
}

test("pause stops the guest, resume lets it go on, both may be repeated", async () => {
  await using one = await withVm();
  expect((await one.client.pauseVm("web")).state).toBe("paused");
  expect((await one.client.pauseVm("web")).state).toBe("paused");
  expect(readFileSync(`/proc/${one.vm.pid}/stat`, "utf8")).toContain(") T ");
  const refused = await refusal(one.client.exec("web", { argv: ["true"] }).exit, "failed_precondition");
  expect(refused.cure).toContain("banger resume web");
  expect((await one.client.resumeVm("web")).state).toBe("running");
  expect(await one.client.exec("web", { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
});

test("a paused VM is stopped cleanly, and a paused VM stays paused over a crash of the daemon", async () => {
  const first = await withVm();
  await first.client.pauseVm("web");
  await first.daemon.crash();
  await using second = await createTestDaemon({ home: first.daemon.home });
  expect((await second.client.showVm("web")).state).toBe("paused");
  await second.client.resumeVm("web");
  expect(await second.client.exec("web", { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
  await second.client.pauseVm("web");
  expect(await second.client.stopVm("web")).toMatchObject({ state: "stopped" });
  expect((await second.client.showVm("web")).lastError).toBeUndefined();
});

test("a VM that does not answer the daemon that adopts it holds up neither the daemon nor its own end", async () => {
  const first = await withVm();
  await first.daemon.crash();
  const answer = Promise.withResolvers<void>();
  const asked = Promise.withResolvers<void>();
  const reachable = async (): Promise<void> => {
    asked.resolve();
    await answer.promise;
  };
  const late = {
    name: "late",
    reachable: () => Promise.reject(new Error("it was asked of a VM that is gone")),
  };
  await using second = await createTestDaemon({
    home: first.daemon.home,
    capabilities: [{ name: "stuck", reachable }, late],
  });
  await asked.promise;
  expect((await second.client.showVm("web")).state).toBe("running");
  expect((await second.client.killVm("web")).state).toBe("stopped");
  answer.resolve();
});

test("kill ends a VM that would not stop, also while it is being stopped", async () => {
  await using one = await withVm();
  // A paused process answers nobody: its stop would wait for the whole grace.
  process.kill(one.vm.pid ?? 0, "SIGSTOP");
  const powering = Promise.withResolvers<void>();
  const stop = one.client.stopVm("web", {
    timeoutMs: 60_000,
    onProgress: (line) => line.event === "begin" && line.stage === "poweroff" && powering.resolve(),
  });
  await powering.promise;
  expect((await one.client.killVm("web")).state).toBe("stopped");
  expect((await stop).state).toBe("stopped");
  expect(existsSync(`/proc/${one.vm.pid}`)).toBe(false);
  expect((await one.client.killVm("web")).state).toBe("stopped");
});

test("restart is a new process with the same address and disk", async () => {
  await using one = await withVm();
  const again = await one.client.restartVm("web");
  expect(again).toMatchObject({ state: "running", id: one.vm.id, address: one.vm.address });
  expect(again.pid).not.toBe(one.vm.pid);
  expect(again.startedAt ?? 0).toBeGreaterThanOrEqual(one.vm.startedAt ?? 0);
});

test("set renames at once, grows the disk, and says what waits for the next start", async () => {
  await using one = await withVm();
  const disk = join(one.vm.directory, "disk.ext4");
  const changed = await one.client.setVm("web", { name: "api", memoryMib: 256, vcpus: 3 });
  expect(changed).toMatchObject({ name: "api", spec: { memoryMib: 256, vcpus: 3 } });
  expect(changed.pending.toSorted()).toEqual(["memoryMib", "vcpus"]);
  expect((await refusal(one.client.showVm("web"))).code).toBe("not_found");
  await one.client.setVm("api", { diskMib: 128 });
  expect(statSync(disk).size).toBe(128 * 2 ** 20);
  expect((await refusal(one.client.setVm("api", { diskMib: 64 }))).message).toContain("cannot shrink");
  expect((await one.client.restartVm("api")).pending).toEqual([]);
});

test("set refuses a name that is taken and changes nothing", async () => {
  await using one = await withVm();
  const api = await one.client.createVm({ name: "api", image: "img" }, { start: false });
  expect((await refusal(one.client.setVm("api", { name: "web", vcpus: 9 }))).code).toBe("already_exists");
  expect(await one.client.showVm("api")).toEqual(api);
});

test("wait answers when the VM is stopped, whoever stops it", async () => {
  await using one = await withVm();
  const waiting = one.client.waitVm("web");
  process.kill(one.vm.pid ?? 0, "SIGKILL");
  expect(await waiting).toMatchObject({ name: "web", state: "stopped" });
  expect(await one.client.waitVm("web")).toMatchObject({ state: "stopped" });
});

test("wait ends with its client", async () => {
  await using one = await withVm();
  const abort = new AbortController();
  const waiting = refusal(one.client.waitVm("web", { signal: abort.signal }), "cancelled");
  abort.abort();
  await waiting;
});

test("stats, ports and execs tell of a running VM", async () => {
  await using one = await withVm();
  const [stats] = await one.client.stats();
  expect(stats).toMatchObject({ name: "web", id: one.vm.id });
  expect(stats?.rssBytes).toBeGreaterThan(100_000);
  expect(stats?.guest?.memoryTotalBytes).toBeGreaterThan(0);
  expect(await one.client.ports("web")).toBeArray();
  expect(await one.client.execs("web")).toEqual([]);
});

test("a detached command outlives its client and the daemon, and is joined by its id", async () => {
  const first = await withVm();
  const gate = join(first.vm.directory, "gate");
  Bun.spawnSync(["mkfifo", gate]);
  const { id } = await first.client.execDetached("web", {
    argv: ["sh", "-c", `echo kept; read word < ${gate}; exit 4`],
  });
  expect(await first.client.execs("web")).toMatchObject([{ id, running: true }]);
  await first.daemon.crash();
  await using second = await createTestDaemon({ home: first.daemon.home });
  let text = "";
  const command = second.client.attach("web", id, {
    onStdout: (bytes) => void (text += Buffer.from(bytes).toString()),
  });
  await command.started;
  writeFileSync(gate, "go\n");
  expect(await command.exit).toMatchObject({ exitCode: 4 });
  expect(text).toBe("kept\n");
  expect((await refusal(second.client.attach("web", "nobody").exit)).code).toBe("not_found");
});

test("events tell everything in order, and a reader goes on from its cursor", async () => {
  await using one = await withVm();
  await one.client.pauseVm("web");
  await one.client.resumeVm("web");
  await one.client.stopVm("web");
  await one.client.removeVm("web");
  const all = await take(one.daemon, 0, (event) => event.kind === "removed");
  expect(all.map((event) => event.kind)).toEqual([
    "created",
    "starting",
    "running",
    "paused",
    "running",
    "stopping",
    "stopped",
    "removed",
  ]);
  const middle = all[3]?.cursor ?? 0;
  expect(await take(one.daemon, middle, (event) => event.kind === "removed")).toEqual(all.slice(4));
});

async function take(
  daemon: TestDaemon,
  after: number,
  last: (event: VmEvent) => boolean,
): Promise<VmEvent[]> {
  const events: VmEvent[] = [];
  for await (const event of daemon.client.events({ after })) {
    events.push(event);
    if (last(event)) return events;
  }
  return events;
}

test("followLogs() sends what is there and what comes", async () => {
  await using one = await withVm();
  let text = "";
  for await (const bytes of one.client.followLogs("web")) {
    text += Buffer.from(bytes).toString();
    if (text.split("fake machine").length > 2) break;
    // The next boot writes another line.
    if (text.split("fake machine").length === 2) await one.client.restartVm("web");
  }
  expect(text).toBe(`fake machine ${one.vm.id}\n`.repeat(2));
});

test("followLogs() ends when the VM is deleted", async () => {
  await using one = await withVm();
  const logs = one.client.followLogs("web");
  expect(await logs.next()).toMatchObject({ done: false });
  await one.client.removeVm("web", { force: true });
  expect(await logs.next()).toEqual({ done: true, value: undefined });
});

test("a guest that has stopped reading blocks neither ps, show, kill nor another VM", async () => {
  await using one = await withVm();
  await one.client.createVm({ name: "other", image: "img" });
  process.kill(one.vm.pid ?? 0, "SIGSTOP");
  const stuck = refusal(one.client.exec("web", { argv: ["true"] }).exit);
  expect((await one.client.listVms()).map((vm) => vm.name)).toEqual(["web", "other"]);
  expect((await one.client.showVm("web")).state).toBe("running");
  expect(await one.client.exec("other", { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
  const stats = await one.client.stats();
  expect(stats.find((vm) => vm.name === "web")?.guest).toBeUndefined();
  expect((await one.client.killVm("web")).state).toBe("stopped");
  expect((await stuck).code).toBe("unavailable");
});

/** How each operation is asked for. */
const CALLS: Readonly<Record<(typeof OPERATIONS)[number], (daemon: TestDaemon) => Promise<unknown>>> = {
  start: async ({ client }) => await client.startVm("web"),
  stop: async ({ client }) => await client.stopVm("web"),
  restart: async ({ client }) => await client.restartVm("web"),
  kill: async ({ client }) => await client.killVm("web"),
  pause: async ({ client }) => await client.pauseVm("web"),
  resume: async ({ client }) => await client.resumeVm("web"),
  set: async ({ client }) => await client.setVm("web", { vcpus: 2 }),
  exec: async ({ client }) => await client.exec("web", { argv: ["true"] }).exit,
  remove: async ({ client }) => await client.removeVm("web"),
  forceRemove: async ({ client }) => await client.removeVm("web", { force: true }),
  snapshot: async ({ client }) => await client.createSnapshot("web"),
  restore: async ({ client }) => await client.restoreVm("web", "base"),
  fork: async ({ client }) => await client.forkVm("web", { count: 2 }),
};

/** The state that an operation leads to when it goes. */
const LEADS_TO: Readonly<Record<(typeof OPERATIONS)[number], Vm["state"] | "removed" | "same">> = {
  start: "running",
  stop: "stopped",
  restart: "running",
  kill: "stopped",
  pause: "paused",
  resume: "running",
  set: "same",
  exec: "same",
  remove: "removed",
  forceRemove: "removed",
  snapshot: "same",
  restore: "running",
  fork: "same",
};

/** The states that a VM rests in; starting and stopping hold its lock, and a crash in them is the fault suite's. */
const RESTING = VM_STATES.filter((state) => state !== "starting" && state !== "stopping");

test.each(RESTING.flatMap((state) => OPERATIONS.map((operation) => [operation, state] as const)))(
  "%s of a VM that is %s does what the table says",
  async (operation, state) => {
    await using daemon = await createTestDaemon();
    await daemon.addImage("img");
    const vm = await daemon.client.createVm(
      { name: "web", image: "img", diskMib: 64 },
      { start: state === "running" || state === "paused" },
    );
    if (operation === "snapshot" || operation === "restore") await saveBase(daemon, state);
    if (state === "paused") await daemon.client.pauseVm("web");
    if (state === "error") {
      daemon.store.vms.update(vm.id, { state, lastError: { code: "internal", message: "clean-up failed" } });
    }
    const verdict = TABLE[operation][state];
    const call = CALLS[operation](daemon);
    if (verdict.startsWith("no:")) {
      const error = await refusal(call, "failed_precondition");
      expect(error.message).toContain(state);
      expect(error.cure).toContain("banger");
      expect((await daemon.client.showVm("web")).state).toBe(state);
      return;
    }
    await call;
    const expected = verdict === "done" || LEADS_TO[operation] === "same" ? state : LEADS_TO[operation];
    const [after] = await daemon.client.listVms();
    expect(after?.state ?? "removed").toBe(expected);
  },
);

/** A snapshot named `base`, of a VM that comes to be in `state` again. */
async function saveBase({ client }: TestDaemon, state: Vm["state"]): Promise<void> {
  await client.startVm("web");
  await client.createSnapshot("web", { name: "base" });
  if (state === "stopped" || state === "error") await client.stopVm("web");
}

test("metrics count VMs by state, steps, failures and bytes", async () => {
  await using one = await withVm();
  await one.client.exec("web", { argv: ["echo", "12345"] }).exit;
  await refusal(one.client.showVm("nobody"));
  const text = await one.client.metrics();
  expect(text).toContain('banger_vms{state="running"} 1');
  expect(text).toContain('banger_step_seconds_count{operation="start",step="boot"} 1');
  expect(text).toContain('banger_failures_total{route="vm.show",code="not_found"} 1');
  expect(text).toContain('banger_stream_bytes_total{stream="stdout"} 6');
});
