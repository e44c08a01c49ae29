/** `run` with real guests: the smoke scenarios of the seed that a first session must pass. */
import { expect, test } from "bun:test";
import { killToTheEnd } from "../support/processes.ts";
import { createRealHome } from "../support/real-home.ts";

test("run --rm prints, passes the exit code on, feeds stdin, and leaves nothing", async () => {
  await using home = await createRealHome();
  const [printed, exited, fed] = [
    await home.banger(["run", "--rm", "--", "uname", "-s"]),
    await home.banger(["run", "--rm", "--", "sh", "-c", "exit 42"]),
    await home.banger(["run", "--rm", "--", "cat"], { stdin: "hi" }),
  ];
  expect(printed).toMatchObject({ code: 0, stdout: "Linux\n" });
  expect(exited.code).toBe(42);
  expect(fed).toMatchObject({ code: 0, stdout: "hi" });
  expect((await home.banger(["ps", "-a", "-q"])).stdout).toBe("");
  expect(home.hypervisors()).toEqual([]);
});

test("two runs at once are two machines", async () => {
  await using home = await createRealHome();
  const script = "hostname; cat /proc/sys/kernel/random/boot_id";
  const outcomes = await Promise.all(
    [1, 2].map(async () => await home.banger(["run", "--rm", "--", "sh", "-c", script])),
  );
  expect(outcomes.map((outcome) => outcome.code)).toEqual([0, 0]);
  const [first, second] = outcomes.map((outcome) => outcome.stdout.split("\n"));
  expect(first?.[0]).not.toBe(second?.[0] ?? "");
  expect(first?.[1]).not.toBe(second?.[1] ?? "");
});

test("run without --rm keeps the VM, with its size as asked for", async () => {
  await using home = await createRealHome();
  const size = ["--vcpus", "2", "--memory", "640M", "--disk", "1G"];
  const script = "nproc; df -m --output=size / | tail -1; grep MemTotal /proc/meminfo";
  const { code, stdout } = await home.banger(["run", "--name", "kept", ...size, "--", "sh", "-c", script]);
  expect(code).toBe(0);
  const [cpus, diskMib, memory] = stdout.split("\n");
  expect(cpus).toBe("2");
  expect(Number(diskMib)).toBeGreaterThan(900);
  expect(Number(diskMib)).toBeLessThanOrEqual(1024);
  expect(Number(memory?.replace(/\D/g, ""))).toBeGreaterThan(500 * 1024);
  expect(Number(memory?.replace(/\D/g, ""))).toBeLessThan(640 * 1024);
  const shown = JSON.parse((await home.banger(["show", "--json", "kept"])).stdout) as Record<string, unknown>;
  expect(shown).toMatchObject({
    name: "kept",
    state: "running",
    driver: "qemu",
    spec: { vcpus: 2, memoryMib: 640 },
  });
  expect((shown["startSteps"] as { name: string }[]).map((step) => step.name)).toEqual([
    "resolve",
    "template",
    "preflight",
    "prepare",
    "spawn",
    "boot",
    "configure",
    "started",
  ]);
});

test.each([["SIGINT"], ["SIGTERM"], ["SIGKILL"]] as const)(
  "run --rm ended by %s while it boots leaves no process, directory or row",
  async (signal) => {
    await using home = await createRealHome();
    await home.must(["daemon", "start"]);
    const cli = home.start(["run", "--rm", "--", "true"]);
    await home.hypervisorStarted();
    cli.kill(signal);
    const { code, signal: how } = await cli.result;
    expect(signal === "SIGKILL" ? how : code).toBe(signal === "SIGKILL" ? "SIGKILL" : 130);
    // A killed client says nothing; its VM is on its way out, which rm -f waits for.
    const ids = (await home.banger(["ps", "-a", "-q"])).stdout.split("\n").filter((id) => id !== "");
    if (ids.length > 0) await home.banger(["rm", "-f", ...ids]);
    expect((await home.banger(["ps", "-a", "-q"])).stdout).toBe("");
    expect(home.hypervisors()).toEqual([]);
  },
);

test("the daemon killed while a VM boots: the next command finds a stopped VM and no process", async () => {
  await using home = await createRealHome();
  await home.must(["daemon", "start"]);
  const pid = await home.daemonPid();
  const cli = home.start(["run", "--name", "half", "--", "true"]);
  await home.hypervisorStarted();
  await killToTheEnd(pid);
  expect(await cli.result).toMatchObject({ code: 125 });
  const shown = JSON.parse((await home.banger(["show", "--json", "half"])).stdout) as Record<string, unknown>;
  expect(shown).toMatchObject({ state: "stopped", lastError: { code: "unavailable" } });
  expect(home.hypervisors()).toEqual([]);
});
