/** Claims of docs/security.md about a VM that runs, which no other test shows. */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { readCommandLine } from "../../src/lib/process-identity.ts";
import { createRealHome, type RealHome } from "../support/real-home.ts";

const SECRET = "swordfish-7c1e02b9";

let home: RealHome;
let vm: { readonly id: string; readonly pid: number };
beforeAll(async () => {
  home = await createRealHome();
  const { code, stdout, stderr } = await home.banger(["run", "-d", "--name", "safe", "--json"]);
  if (code !== 0) throw new Error(stderr);
  const { id } = JSON.parse(stdout) as { id: string };
  const [pid = 0] = home.hypervisors();
  vm = { id, pid };
});
afterAll(async () => {
  await home[Symbol.asyncDispose]();
});

test("the hypervisor runs with a seccomp filter and no new privileges", () => {
  const status = readFileSync(`/proc/${vm.pid}/status`, "utf8");
  expect(status).toMatch(/^NoNewPrivs:\t1$/m);
  // 2: SECCOMP_MODE_FILTER (proc(5)).
  expect(status).toMatch(/^Seccomp:\t2$/m);
});

test("a guest has no card but the one on its tap", async () => {
  const { stdout } = await home.banger(["exec", "safe", "--", "ls", "/sys/class/net"]);
  const { stdout: shown } = await home.banger(["network", "show", "--json"]);
  const { kind } = JSON.parse(shown) as { kind: string };
  expect(stdout).toBe(kind === "none" ? "lo\n" : "eth0\nlo\n");
});

test("what belongs to a VM is the user's alone", () => {
  const open = ["vms", "run"]
    .map((room) => join(home.home, room, vm.id))
    .flatMap((dir) => [dir, ...readdirSync(dir).map((name) => join(dir, name))])
    .map((path) => ({ path, mode: statSync(path).mode & 0o077 }));
  expect(open.length).toBeGreaterThanOrEqual(8);
  expect(open.filter(({ mode }) => mode !== 0)).toEqual([]);
});

test("the environment of an exec stays out of logs, records and command lines", async () => {
  const secret = ["-e", `TOKEN=${SECRET}`, "-w", "/"];
  const seen = await home.banger(["exec", ...secret, "safe", "--", "printenv", "TOKEN"]);
  expect(seen).toMatchObject({ code: 0, stdout: `${SECRET}\n` });
  // A refused command is logged; its environment is not.
  await home.banger(["exec", ...secret, "safe", "--", "no-such-command"]);
  const { stdout: kernel } = await home.banger(["exec", "safe", "--", "cat", "/proc/cmdline"]);
  const rooms = [home.home, join(home.home, "vms", vm.id)];
  const files = rooms.flatMap((dir) =>
    readdirSync(dir, { withFileTypes: true })
      // The disk is the guest's own.
      .filter((entry) => entry.isFile() && entry.name !== "disk.ext4")
      .map((entry) => join(dir, entry.name)),
  );
  expect(files.some((path) => path.endsWith("bangerd.log"))).toBe(true);
  expect(files.some((path) => path.endsWith("state.db"))).toBe(true);
  expect(files.filter((path) => readFileSync(path).includes(SECRET))).toEqual([]);
  expect([...readCommandLine(vm.pid), kernel].filter((text) => text.includes(SECRET))).toEqual([]);
});
