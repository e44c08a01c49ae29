/** Commands through client, server and the real agent (which runs on this host): what the wire promises. */
import { expect, test } from "bun:test";
import { createHash } from "node:crypto";
import { killToTheEnd } from "../support/processes.ts";
import { refusal } from "../support/refusal.ts";
import { createTestDaemon } from "../support/test-daemon.ts";

test("exec carries output, input and the exit code", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img", env: { FROM_VM: "yes" } });
  const output: string[] = [];
  const command = daemon.client.exec(
    "web",
    { argv: ["sh", "-c", 'cat; echo "$FROM_VM $FROM_EXEC" >&2; exit 3'], env: { FROM_EXEC: "too" } },
    {
      onStdout: (bytes) => void output.push(`out ${Buffer.from(bytes).toString()}`),
      onStderr: (bytes) => void output.push(`err ${Buffer.from(bytes).toString()}`),
    },
  );
  await command.write(Buffer.from("hello"));
  await command.end();
  expect(await command.exit).toEqual({ exitCode: 3, timedOut: false });
  expect(output).toEqual(["out hello", "err yes too\n"]);
});

test("64 MiB go in and come out unchanged, in windows of 256 KiB", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  const sent = createHash("sha256");
  const received = createHash("sha256");
  const command = daemon.client.exec(
    "web",
    { argv: ["cat"] },
    { onStdout: (bytes) => void received.update(bytes) },
  );
  const piece = Buffer.alloc(1024 * 1024);
  for (let i = 0; i < 64; i += 1) {
    piece.fill(i);
    sent.update(piece);
    await command.write(piece);
  }
  await command.end();
  await command.exit;
  expect(received.digest("hex")).toBe(sent.digest("hex"));
});

test("a client that does not consume stops its command, not the daemon and not the VM", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  const hold = Promise.withResolvers<void>();
  let received = 0;
  const flood = daemon.client.exec(
    "web",
    { argv: ["cat", "/dev/zero"] },
    {
      onStdout: (bytes) => {
        received += bytes.length;
        return hold.promise;
      },
    },
  );
  await flood.started;
  for (let i = 0; i < 5; i += 1) {
    expect(await daemon.client.exec("web", { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
    expect(await daemon.client.showVm("web")).toMatchObject({ state: "running", responsive: true });
  }
  // The handler holds the first piece; what came after it is at most one window.
  expect(received).toBeLessThanOrEqual(262_144);
  hold.resolve();
  await flood.cancel();
});

test("cancel kills the command in the guest", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  let said = "";
  const ready = Promise.withResolvers<void>();
  const command = daemon.client.exec(
    "web",
    { argv: ["sh", "-c", "echo $$; exec sleep 1000"] },
    {
      onStdout: (bytes) => {
        said += Buffer.from(bytes).toString();
        if (said.includes("\n")) ready.resolve();
      },
    },
  );
  await ready.promise;
  await command.cancel();
  await refusal(command.exit, "cancelled");
  // The agent has killed it before it serves this; the kernel may take a moment to end it.
  const script = `while kill -0 ${said.trim()} 2>/dev/null; do :; done`;
  const check = daemon.client.exec("web", { argv: ["sh", "-c", script], timeoutMs: 10_000 });
  expect((await check.exit)?.exitCode).toBe(0);
});

test.each([
  ["a command that is not there", { argv: ["no-such-command"] }, "command_not_found"],
  ["a command that is no program", { argv: ["/etc/passwd"] }, "command_not_executable"],
])("%s comes back as the guest's own code", async (_, request, guestCode) => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" });
  const error = await refusal(daemon.client.exec("web", request).exit);
  expect(error.details).toMatchObject({ guestCode });
});

test("exec in a stopped VM says how to start it", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img");
  await daemon.client.createVm({ name: "web", image: "img" }, { start: false });
  const error = await refusal(daemon.client.exec("web", { argv: ["true"] }).exit, "failed_precondition");
  expect(error.cure).toBe("start it with: banger start web");
});

test("run joins the image's entrypoint and command, and exec does not", async () => {
  await using daemon = await createTestDaemon();
  await daemon.addImage("img", { entrypoint: ["echo", "entry"], cmd: ["default"], env: { FROM_IMAGE: "1" } });
  const run = async (argv: string[]): Promise<string> => {
    let text = "";
    const listener = { onStdout: (bytes: Uint8Array) => void (text += Buffer.from(bytes).toString()) };
    await daemon.client.run({ vm: { image: "img" }, exec: { argv }, remove: true }, listener).exit;
    return text;
  };
  expect(await run([])).toBe("entry default\n");
  expect(await run(["given"])).toBe("entry given\n");
  expect(daemon.store.vms.list()).toEqual([]);
});

test("a daemon that crashes leaves the VM running; the next one adopts it and serves it", async () => {
  const first = await createTestDaemon();
  await first.addImage("img");
  const vm = await first.client.createVm({ name: "web", image: "img" });
  const temporary = first.client.run({
    vm: { image: "img" },
    exec: { argv: ["cat"] },
    remove: true,
  });
  await temporary.started;
  await first.crash();
  await using second = await createTestDaemon({ home: first.home });
  expect(await second.client.showVm("web")).toMatchObject({ id: vm.id, state: "running", pid: vm.pid });
  expect(await second.client.exec("web", { argv: ["true"] }).exit).toMatchObject({ exitCode: 0 });
  // What `run --rm` had made has lost its owner, and is gone.
  expect((await second.client.listVms()).map((one) => one.name)).toEqual(["web"]);
});

test("a VM whose hypervisor died while no daemon was there is found stopped, and starts again", async () => {
  const first = await createTestDaemon();
  await first.addImage("img");
  const vm = await first.client.createVm({ name: "web", image: "img" });
  await first.crash();
  await killToTheEnd(vm.pid);
  await using second = await createTestDaemon({ home: first.home });
  const found = await second.client.showVm("web");
  expect(found.state).toBe("stopped");
  expect(found.lastError?.message).toContain("no daemon was there");
  expect((await second.client.startVm("web")).state).toBe("running");
});
