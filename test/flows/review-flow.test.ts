/** Defects that a review found, each as the test that would have shown it. */
import { expect, test } from "bun:test";
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wordsAgent } from "../support/lying-agent.ts";
import { hypervisorsOf } from "../support/processes.ts";
import { createRealHome } from "../support/real-home.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

test("a guest that answers SYNC and never configure does not wedge its VM: the start ends at its deadline", async () => {
  await using daemon = await createTestDaemon({ bootDeadlineMs: 3_000, driver: { program: wordsAgent([]) } });
  await daemon.addImage("img");
  const error = await refusal(daemon.client.createVm({ name: "mute", image: "img" }), "timeout");
  expect(error.message).toContain("configuration");
  expect(hypervisorsOf(daemon.home)).toEqual([]);
  expect(await daemon.client.showVm("mute")).toMatchObject({ state: "stopped" });
});

test("a guest that never answers configure: stop and rm -f do not wait for it", async () => {
  await using daemon = await createTestDaemon({ driver: { program: wordsAgent([]) } });
  await daemon.addImage("img");
  const configuring = Promise.withResolvers<void>();
  const start = refusal(
    daemon.client.createVm(
      { name: "mute", image: "img" },
      { onProgress: (line) => line.event === "begin" && line.stage === "configure" && configuring.resolve() },
    ),
  );
  await configuring.promise;
  await daemon.client.removeVm("mute", { force: true });
  expect((await start).code).toBe("cancelled");
  expect(hypervisorsOf(daemon.home)).toEqual([]);
});

test.each([["{}"], ['{"error":{"code":{"toString":1}}}'], ['{"ok":[]}'], ['{"ok":7,"error":null}'], ["[]"]])(
  "a CLOSE of %s breaks the protocol and settles everything",
  async (close) => {
    await using daemon = await createTestDaemon({ driver: { program: wordsAgent([close]) } });
    await daemon.addImage("img");
    const error = await refusal(daemon.client.createVm({ name: "bad", image: "img" }));
    expect(["guest_error", "unavailable"]).toContain(error.code);
    expect(await daemon.client.showVm("bad")).toMatchObject({ state: "stopped" });
    await daemon.client.removeVm("bad");
  },
);

test("a running VM that is stalled is not ended because clients sent to it", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  const vm = await daemon.client.createVm({ name: "web", image: "img" });
  process.kill(vm.pid ?? 0, "SIGSTOP");
  const agent = await daemon.vms.live(vm.id)?.agent();
  const spec = { argv: ["cat"], env: {}, cwd: undefined, user: undefined, tty: undefined, timeoutMs: 0 };
  let refused = 0;
  for (let i = 0; i < 400; i += 1) {
    try {
      const stream = agent?.exec(`e${i}`, spec, {});
      stream?.sendData(new Uint8Array(200_000));
      stream?.reset();
    } catch {
      refused += 1;
    }
  }
  expect(refused).toBeGreaterThan(100);
  process.kill(vm.pid ?? 0, "SIGCONT");
  expect(await daemon.client.showVm("web")).toMatchObject({ state: "running" });
});

test("a second daemon on the same state and another runtime directory is refused, and touches nothing", async () => {
  await using home = await createRealHome({ bare: true });
  const state = {
    BANGER_HOME: "",
    XDG_STATE_HOME: home.home,
    XDG_CACHE_HOME: home.home,
    XDG_CONFIG_HOME: home.home,
  };
  const [first, second] = ["r1", "r2"].map((name) => ({ ...state, XDG_RUNTIME_DIR: join(home.home, name) }));
  for (const dir of ["r1", "r2"]) mkdirSync(join(home.home, dir));
  expect((await home.banger(["ps"], { env: first ?? {} })).code).toBe(0);
  const { code, stderr } = await home.banger(["ps"], { env: second ?? {} });
  expect(code).toBe(1);
  expect(stderr).toContain("another daemon");
  expect((await home.banger(["daemon", "stop"], { env: first ?? {} })).stdout).toBe("stopped\n");
});

test("a removed runtime directory: the next command gets a daemon that serves", async () => {
  await using home = await createRealHome({ bare: true });
  await home.must(["daemon", "start"]);
  const pid = await home.daemonPid();
  rmSync(join(home.home, "run"), { recursive: true });
  expect((await home.banger(["ps"])).code).toBe(0);
  expect(await home.daemonPid()).not.toBe(pid);
});

test("a home of odd characters serves commands as any other", async () => {
  const base = mkdtempSync(join(tmpdir(), "banger-odd-"));
  for (const odd of ["a b", "é", "q?x", "h#y", "c:d", "p%20q"]) {
    await using home = await createRealHome({ bare: true });
    const env = { BANGER_HOME: join(base, odd) };
    const { code, stderr } = await home.banger(["exec", "nobody", "--", "true"], { env });
    expect({ code, stderr }).toMatchObject({ code: 125 });
    expect(stderr).toContain("there is no VM nobody");
    await home.must(["daemon", "stop"], { env });
    await home.must(["daemon", "start"]);
  }
  rmSync(base, { recursive: true });
});

test("run and exec end with 125 when the daemon cannot start, for 1 may be the command's own", async () => {
  await using home = await createRealHome({ bare: true });
  writeFileSync(join(home.home, "state.db"), "damaged ".repeat(100));
  expect((await home.banger(["run", "--rm", "--", "true"])).code).toBe(125);
  expect((await home.banger(["exec", "web", "--", "true"])).code).toBe(125);
  rmSync(join(home.home, "state.db"));
  await home.must(["daemon", "start"]);
});

test("importing a fifo is refused at once", async () => {
  await using home = await createRealHome({ bare: true });
  const fifo = join(home.home, "fifo");
  Bun.spawnSync(["mkfifo", fifo]);
  const { code, stderr } = await home.banger(["image", "import", "x", fifo]);
  expect(code).toBe(1);
  expect(stderr).toContain("is not a file");
});

test("lost output is no success", async () => {
  await using home = await createRealHome({ bare: true });
  const child = Bun.spawn(["sh", "-c", `${join(import.meta.dir, "../../bin/banger")} ps > /dev/full`], {
    env: { ...process.env, BANGER_HOME: home.home },
    stderr: "pipe",
  });
  expect(await child.exited).toBe(1);
  expect(await child.stderr.text()).toContain("cannot write to stdout");
});

test("a VM in error keeps its cause over a start of the daemon", async () => {
  const first = await createTestDaemon();
  await first.addImage("img");
  const vm = await first.client.createVm({ name: "web", image: "img" }, { start: false });
  first.store.vms.update(vm.id, {
    state: "error",
    lastError: { code: "internal", message: "the real cause" },
  });
  await first.crash();
  await using second = await createTestDaemon({ home: first.home });
  expect((await second.client.showVm("web")).lastError?.message).toBe("the real cause");
});

test("a hypervisor that nobody has a hold of ends with rm -f", async () => {
  const first = await createTestDaemon();
  await first.addImage("img");
  const vm = await first.client.createVm({ name: "web", image: "img" });
  await first.crash();
  // Handles that name another process: the VM's own is then nobody's.
  writeFileSync(first.layout.handles(vm.id), "{}");
  await using second = await createTestDaemon({ home: first.home });
  expect((await second.client.showVm("web")).state).toBe("stopped");
  expect(existsSync(`/proc/${vm.pid}/fd/0`)).toBe(false);
});

test("an operation that is quiet for longer than the server's usual patience is not cut off", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  const vm = await daemon.client.createVm({ name: "web", image: "img" });
  const waiting = daemon.client.waitVm("web");
  // The default of the server is 10 s; the command that ends the silence is the clock here.
  await daemon.client.exec("web", { argv: ["sleep", "12"] }).exit;
  process.kill(vm.pid ?? 0, "SIGKILL");
  expect((await waiting).state).toBe("stopped");
}, 240_000);
