/** An image whose command is an init boots systemd, with the agent beside it: from the first unit to the last unmount. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { addDevImage } from "../support/dev-image.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";

/** The first time, debian-dev is built: two minutes, or more on a busy host. */
const BUILD_MS = 600_000;
/** systemd answers once it has made its socket; its own command does not wait for that. */
const UP = "until [ -S /run/systemd/private ]; do sleep 0.2; done";
const BOOTED = "systemctl is-system-running --wait; systemctl --failed --no-legend";
const GREETING = "exec 3<>/dev/tcp/127.0.0.1/22; read -r line <&3; echo $line";

let home: RealHome;

beforeAll(async () => {
  home = await createRealHome();
  await addDevImage(home.home);
}, BUILD_MS);

afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

async function sh(vm: string, script: string): Promise<string> {
  const { code, stdout, stderr } = await home.banger(["exec", vm, "--", "bash", "-c", script]);
  if (code !== 0 && stdout === "") throw new Error(`${script}: exit code ${code}: ${stderr}`);
  return stdout.trim();
}

async function shown(vm: string): Promise<{ state: string; lastError?: { message: string } }> {
  return JSON.parse((await home.banger(["show", "--json", vm])).stdout) as { state: string };
}

test("an image whose command is an init boots systemd to running, and stops in order", async () => {
  await using made = { [Symbol.asyncDispose]: async () => void (await home.banger(["rm", "-f", "s"])) };
  expect(made).toBeDefined();
  expect(await home.banger(["volume", "create", "data", "--size", "64M"])).toMatchObject({ code: 0 });
  const machine = ["--image", "debian-dev", "--memory", "512M", "-v", "data:/srv/data"];
  expect(await home.banger(["run", "-d", "--name", "s", ...machine])).toMatchObject({ code: 0 });
  expect(await sh("s", `${UP}; ${BOOTED}`)).toBe("running");
  expect(await sh("s", "readlink /proc/1/exe; cat /proc/self/cgroup")).toMatch(
    /^\/usr\/lib\/systemd\/systemd\n0::\/commands\/exec-\d+$/u,
  );
  // The kernel never kills the agent for want of memory, and everything else as ever.
  const score = (pid: string): string => `cat /proc/${pid}/oom_score_adj`;
  expect(
    await sh("s", `${score("$(cat /sys/fs/cgroup/agent/cgroup.procs)")}; ${score("self")}; ${score("1")}`),
  ).toBe("-1000\n0\n0");
  expect(await sh("s", "journalctl --boot --no-pager --lines=1 --unit=ssh.service | tail -n 1")).toContain(
    "ssh",
  );
  expect(await sh("s", GREETING)).toStartWith("SSH-2.0-");

  // Commands are the agent's own, whatever process 1 is.
  expect((await home.banger(["exec", "s", "--", "sh", "-c", "exit 7"])).code).toBe(7);
  const { stdout } = await home.banger([
    "exec",
    "-d",
    "s",
    "--",
    "sh",
    "-c",
    "echo detached; exec sleep 1000",
  ]);
  const id = stdout.trim();
  expect((await home.banger(["exec", "ls", "s"])).stdout).toContain(id);
  const orphan = "(trap '' TERM; exec setsid sleep 1000) >/dev/null 2>&1 & echo made";
  expect(await sh("s", orphan)).toBe("made");

  expect(
    await sh(
      "s",
      "systemctl show --property=MainPID --value ssh; echo kept | tee /root/kept >/srv/data/kept",
    ),
  ).not.toBe("0");
  // No --timeout: an init has the time that it needs.
  expect(await home.banger(["stop", "s"])).toMatchObject({ code: 0 });
  expect(await shown("s")).toMatchObject({ state: "stopped" });
  expect((await shown("s")).lastError).toBeUndefined();

  // What was written before the stop is there.
  expect(await home.banger(["start", "s"])).toMatchObject({ code: 0 });
  expect(await sh("s", "findmnt --noheadings --output=FSTYPE /srv/data; cat /root/kept /srv/data/kept")).toBe(
    "ext4\nkept\nkept",
  );

  // From inside: process 1 hands the machine back to the agent.
  const inside = await home.banger([
    "exec",
    "s",
    "--",
    "sh",
    "-c",
    `${UP}; systemctl poweroff && sleep 1000`,
  ]);
  expect(inside.code).not.toBe(0);
  expect((await home.banger(["wait", "s"])).code).toBe(0);
  expect(await shown("s")).toMatchObject({ state: "stopped" });
  expect((await shown("s")).lastError).toBeUndefined();
});

test("--init agent runs commands of such an image without its init", async () => {
  const args = ["run", "--rm", "--init", "agent", "--image", "debian-dev", "--", "sh", "-c"];
  const { code, stdout } = await home.banger([
    ...args,
    "readlink /proc/1/exe; test ! -e /run/systemd/system",
  ]);
  expect({ code, stdout }).toEqual({ code: 0, stdout: "/init (deleted)\n" });
});

test("--init systemd is refused by an image that has no init", async () => {
  const refused = await home.banger(["run", "--rm", "--init", "systemd", "--image", "debian", "--", "true"]);
  expect(refused.code).toBe(125);
  expect(refused.stderr).toContain("the image has no init at /sbin/init");
});

/** Writes a line a millisecond: when it began, and what the host was called then. Nothing of it starts a program. */
const WITNESS =
  "exec 9<> <(:); while :; do at=$EPOCHREALTIME; read -r name </proc/sys/kernel/hostname; echo $at $name; read -t 0.001 -u 9; done >/run/witness";
const START_WITNESS = `systemd-run --quiet --unit=witness bash -c '${WITNESS}'; until [ -s /run/witness ]; do sleep 0.1; done`;

/** What the witness wrote, once it has written `name`. */
async function witnessed(vm: string, name: string): Promise<string[]> {
  return (await sh(vm, `until grep -q ' ${name}$' /run/witness; do sleep 0.1; done; cat /run/witness`)).split(
    "\n",
  );
}

test("a VM with systemd is forked with its services, and they do nothing before the child is somebody else", async () => {
  const names = ["base", "base-1"];
  await using made = { [Symbol.asyncDispose]: async () => void (await home.banger(["rm", "-f", ...names])) };
  expect(made).toBeDefined();
  const run = ["run", "-d", "--name", "base", "--image", "debian-dev", "--memory", "512M"];
  expect(await home.banger(run)).toMatchObject({ code: 0 });
  expect(await sh("base", `${UP}; ${BOOTED}`)).toBe("running");
  await sh("base", `${START_WITNESS}; echo started`);
  expect(await home.banger(["fork", "base"])).toMatchObject({ code: 0, stdout: "base-1\n" });
  const child = await witnessed("base-1", "base-1");
  const before = child.filter((line) => line.endsWith(" base"));
  // To the microsecond what the parent has: begun before it was saved, and none after.
  expect((await witnessed("base", "base")).slice(0, before.length)).toEqual(before);
  expect(child.slice(before.length).every((line) => line.endsWith(" base-1"))).toBe(true);
  for (const name of names) await sh(name, "systemctl stop witness.service; echo stopped");
  const ids = new Set<string>();
  for (const name of names) {
    expect(await sh(name, "hostname; systemctl is-active ssh.service; systemctl is-system-running")).toBe(
      `${name}\nactive\nrunning`,
    );
    expect(await sh(name, GREETING)).toStartWith("SSH-2.0-");
    ids.add(await sh(name, "cat /etc/machine-id /proc/sys/kernel/random/boot_id"));
  }
  expect(ids.size).toBe(2);
});
