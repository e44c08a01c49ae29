/** Groups of cgroup version 2, against a tree of directories that behaves like the kernel's (test/support/kernel-tree.ts). */
import { expect, test } from "bun:test";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createKernelTree, type KernelTree } from "../../test/support/kernel-tree.ts";
import { limitsOf } from "../model/limits.ts";
import { Cgroups } from "./cgroups.ts";
import { checkLimits } from "./limits-check.ts";

const ID = "0123456789ab";
const LIMITS = limitsOf({ vcpus: 2, memoryMib: 1024 }, { emulated: false });
const ALL = "cpuset cpu io memory pids";
const SERVICE = "/user.slice/user@1000.service";
const SCOPE = `${SERVICE}/app.slice/run-1.scope`;

/** As systemd has it for a daemon started with `systemd-run --user --scope -p Delegate=yes`. */
function delegated(controllers = "cpu io memory pids"): KernelTree {
  const tree = createKernelTree({ controllers: ALL, own: SCOPE, foreign: ["", "/user.slice"] });
  tree.group("/user.slice", { controllers });
  tree.group(SERVICE, { controllers });
  tree.group(`${SERVICE}/app.slice`, { controllers });
  tree.group(SCOPE, { procs: [process.pid] });
  return tree;
}

async function diagnose(tree: KernelTree): Promise<Awaited<ReturnType<ReturnType<typeof checkLimits>>>> {
  const before = tree.writes.length;
  const found = await checkLimits(() => new Cgroups(tree).places, tree)();
  expect(tree.writes.length).toBe(before);
  return found;
}

test("a daemon in a delegated scope makes groups beside it, with every limit, and stays where it is", async () => {
  using tree = delegated();
  const cgroups = new Cgroups(tree);
  const group = `${SERVICE}/app.slice/banger-${ID}`;
  expect(cgroups.createGroup(ID, LIMITS)).toEqual([]);
  expect(cgroups.addProcess(ID, process.ppid)).toEqual([]);
  expect(tree.writes).toEqual([
    `${group}/memory.max ${(1024 + 64 + 256) * 2 ** 20}`,
    `${group}/cpu.max 300000 100000`,
    `${group}/pids.max 512`,
    `${group}/io.weight 100`,
    `${group}/cgroup.procs ${process.ppid}`,
  ]);
});

test("a unit with the daemon in a subgroup: the controllers are enabled in the unit", () => {
  using tree = createKernelTree({ controllers: ALL, own: "/unit/daemon", foreign: ["/"] });
  tree.write("/sys/fs/cgroup/cgroup.subtree_control", "+memory +pids");
  tree.group("/unit");
  tree.group("/unit/daemon", { procs: [process.pid] });
  const cgroups = new Cgroups(tree);
  expect(cgroups.createGroup(ID, LIMITS)).toEqual([]);
  expect(tree.writes.slice(1)).toEqual([
    "/unit/cgroup.subtree_control +memory +pids",
    `/unit/banger-${ID}/memory.max ${LIMITS.memoryBytes}`,
    `/unit/banger-${ID}/pids.max 512`,
  ]);
  expect([...cgroups.places.absent.keys()]).toEqual(["cpu", "io"]);
});

test("doctor says which limits hold, which do not, why, and the cure; and writes nothing", async () => {
  using tree = delegated("memory pids");
  const { rows, capabilities } = await diagnose(tree);
  expect(capabilities).toEqual({
    "limits.memory": true,
    "limits.cpu": false,
    "limits.pids": true,
    "limits.io": false,
  });
  expect(rows).toMatchObject([
    { verdict: "pass", message: "memory, pids of each hypervisor (cgroup v2)" },
    { verdict: "warn", message: expect.stringContaining("not of cpu, io: the controller is not delegated") },
  ]);
  expect(rows[1]?.cure).toContain("Delegate=");
});

test.each([
  [
    "a session's scope is root's",
    { own: "/session-1.scope", foreign: ["", "/session-1.scope"] },
    "Delegate=yes",
  ],
  ["a container's processes are in the way", { own: "/container", foreign: [""] }, "inner"],
  ["a container has it read-only", { own: "/", options: "ro" }, "writable /sys/fs/cgroup"],
  ["the kernel has no controllers", { own: "/", controllers: "hugetlb" }, "cgroup_disable="],
  ["another namespace's group", { own: "/../x" }, "namespace"],
] as const)(
  "nothing can be limited (%s): no group, no problem, and doctor has the cure",
  async (_, options, cure) => {
    using tree = createKernelTree({ controllers: ALL, ...options });
    if (options.own !== "/" && options.own !== "/../x") tree.group(options.own, { procs: [process.pid] });
    const cgroups = new Cgroups(tree);
    expect(cgroups.createGroup(ID, LIMITS)).toEqual([]);
    expect(cgroups.addProcess(ID, process.ppid)).toEqual([]);
    await cgroups.removeGroup(ID);
    expect(tree.writes).toEqual([]);
    const { rows, capabilities } = await diagnose(tree);
    expect(new Set(Object.values(capabilities ?? {}))).toEqual(new Set([false]));
    expect(rows.map(({ verdict }) => verdict)).toEqual(["warn"]);
    expect(rows[0]?.cure).toContain(cure);
  },
);

test("what the kernel refuses is said and does not throw, and the other limits hold", () => {
  using tree = delegated();
  const refusing = new Cgroups({
    ...tree,
    write(path, text) {
      if (path.endsWith("/cpu.max")) throw new Error("EINVAL: invalid argument");
      tree.write(path, text);
    },
  });
  expect(refusing.createGroup(ID, LIMITS)).toEqual([
    expect.stringMatching(/^cannot limit cpu in .*: EINVAL/),
  ]);
  expect(tree.writes.some((line) => line.includes("pids.max"))).toBe(true);
});

test("removeGroup() kills what is left, succeeds with nothing there, and may be repeated", async () => {
  using tree = delegated();
  const cgroups = new Cgroups(tree);
  await cgroups.removeGroup(ID);
  cgroups.createGroup(ID, LIMITS);
  const left = spawn("sleep", ["1000"]);
  cgroups.addProcess(ID, left.pid ?? 0);
  const ended = once(left, "exit");
  await cgroups.removeGroup(ID);
  expect(await ended).toEqual([null, "SIGKILL"]);
  expect(tree.writes.at(-1)).toBe(`${SERVICE}/app.slice/banger-${ID}/cgroup.kill 1`);
  await cgroups.removeGroup(ID);
  expect(tree.directories(`/sys/fs/cgroup${SERVICE}/app.slice`)).toEqual(["run-1.scope"]);
});

test("removeGroup() finds the group of an earlier daemon, which sat elsewhere", async () => {
  using tree = delegated();
  tree.group(`${SERVICE}/session.slice`);
  tree.group(`${SERVICE}/session.slice/banger-${ID}`);
  tree.group(`${SERVICE}/session.slice/banger-${ID}/inner`);
  tree.group(`${SERVICE}/session.slice/banger-ba9876543210`);
  await new Cgroups(tree).removeGroup(ID);
  expect(tree.directories(`/sys/fs/cgroup${SERVICE}/session.slice`)).toEqual(["banger-ba9876543210"]);
});

test("removeGroup() refuses to end a group that this process is in", async () => {
  using tree = delegated();
  tree.group(`${SERVICE}/app.slice/banger-${ID}`, { procs: [process.pid] });
  const outcome = await new Cgroups(tree).removeGroup(ID).catch((error: Error) => error.message);
  expect(outcome).toContain("this daemon itself");
});
