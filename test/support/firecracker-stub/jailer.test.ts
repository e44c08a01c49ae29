/** The stub's jailer, and where it can run the real one, against the same jails. */
import { describe, expect, test } from "bun:test";
import { spawn } from "node:child_process";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  watch,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { identifyProcess } from "../../../src/lib/process-identity.ts";
import { watchProcess } from "../../../src/lib/process-watch.ts";
import { openWire } from "./client.ts";
import { createFirecrackerStub } from "./create.ts";
import { findRealPrograms } from "./real-programs.ts";

interface Programs {
  readonly bin: string;
  readonly jailerBin: string;
}

interface Exit {
  readonly code: number | null;
  readonly errors: string;
}

describe("the stub's jailer", () => {
  test("builds the jail and becomes the jailed program", async () => {
    await using stub = createFirecrackerStub();
    using base = createBase();
    await jails(stub, base.path);
    expect(stub.records().map((record) => record.kind)).toContain("jailer");
    expect(stub.records().find((record) => record.kind === "start")).toMatchObject({
      chroot: join(base.path, "firecracker/test/root"),
      argv: expect.arrayContaining(["--id", "test", "--start-time-us", "--api-sock", "/run/api"]),
    });
  });

  test("in a daemon's way ends, and leaves the pid of the program", async () => {
    await using stub = createFirecrackerStub();
    using base = createBase();
    await daemonizes(stub, base.path);
  });

  test("fails in a jail that was used before", async () => {
    await using stub = createFirecrackerStub();
    using base = createBase();
    await failsTwice(stub, base.path);
  });

  test.each([
    ["no user", ["--gid", "0"], "Argument 'uid' required, but not found."],
    ["a user by name", ["--uid", "root", "--gid", "0"], "Invalid uid: root"],
    [
      "a cgroup without a value",
      ["--uid", "0", "--gid", "0", "--cgroup", "cpu.max"],
      "Invalid format for cgroups",
    ],
    ["a cgroup elsewhere", ["--uid", "0", "--gid", "0", "--cgroup", "../x=1"], "Cgroup invalid file"],
    [
      "a limit that it does not know",
      ["--uid", "0", "--gid", "0", "--resource-limit", "cpu=1"],
      "Invalid resource",
    ],
    ["a version of cgroups", ["--uid", "0", "--gid", "0", "--cgroup-version", "x"], "invalid cgroup version"],
    ["a word of its own", ["--nope"], "Found argument 'nope'"],
  ])("refuses %s", async (_, args, words) => {
    await using stub = createFirecrackerStub();
    using base = createBase();
    const exit = await run(stub.jailerBin, [
      "--id",
      "x",
      "--exec-file",
      stub.bin,
      "--chroot-base-dir",
      base.path,
      ...args,
    ]);
    expect(exit).toMatchObject({ code: 1, errors: expect.stringContaining(words) });
    expect(stub.expectViolations()).toHaveLength(1);
  });

  test("says its version", async () => {
    await using stub = createFirecrackerStub({ version: "1.2.3" });
    expect(await run(stub.jailerBin, ["--version"])).toMatchObject({ code: 0 });
  });
});

const real = findRealJailer();

describe.skipIf(real === undefined)("the real jailer", () => {
  const programs = (): Programs => {
    if (real === undefined) throw new Error("there is no jailer");
    return real;
  };

  test("builds the same jail and becomes the jailed program", async () => {
    using base = createBase();
    await jails(programs(), base.path);
  });

  test("in a daemon's way ends, and leaves the pid of the program", async () => {
    using base = createBase();
    await daemonizes(programs(), base.path);
  });

  test("fails in a jail that was used before", async () => {
    using base = createBase();
    await failsTwice(programs(), base.path);
  });
});

async function jails(programs: Programs, base: string): Promise<void> {
  const root = join(base, "firecracker/test/root");
  mkdirSync(join(root, "run"), { recursive: true });
  const child = spawn(programs.jailerBin, jailArguments(programs, base), { stdio: "ignore" });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  try {
    await accepts(join(root, "run/api"));
    expect(Number(readFileSync(join(root, "firecracker.pid"), "utf8"))).toBe(child.pid ?? 0);
    for (const path of ["firecracker", "dev/kvm", "dev/net/tun", "dev/urandom"])
      expect({ path, there: existsSync(join(root, path)) }).toEqual({ path, there: true });
    expect(statSync(root).mode & 0o777).toBe(0o700);
    const answer = await fetch("http://localhost/", { unix: join(root, "run/api") });
    expect(await answer.json()).toMatchObject({ id: "test", state: "Not started" });
  } finally {
    child.kill("SIGKILL");
    await exited;
  }
}

async function daemonizes(programs: Programs, base: string): Promise<void> {
  const root = join(base, "firecracker/test/root");
  mkdirSync(join(root, "run"), { recursive: true });
  expect(await run(programs.jailerBin, jailArguments(programs, base, ["--daemonize"]))).toMatchObject({
    code: 0,
  });
  await accepts(join(root, "run/api"));
  const handle = identifyProcess(Number(readFileSync(join(root, "firecracker.pid"), "utf8")));
  if (handle === undefined) throw new Error("the jailed program does not run");
  const process = await watchProcess(handle);
  process?.signal("SIGKILL");
  await process?.ended;
}

async function failsTwice(programs: Programs, base: string): Promise<void> {
  const root = join(base, "firecracker/test/root");
  mkdirSync(join(root, "dev/net"), { recursive: true });
  writeFileSync(join(root, "dev/net/tun"), "");
  const exit = await run(programs.jailerBin, jailArguments(programs, base));
  expect(exit).toMatchObject({
    code: 1,
    errors: expect.stringMatching(/Failed to create \/dev\/net\/tun via mknod inside the jail: File exists/),
  });
}

function jailArguments(programs: Programs, base: string, more: readonly string[] = []): string[] {
  const own = [
    "--id",
    "test",
    "--exec-file",
    programs.bin,
    "--uid",
    "0",
    "--gid",
    "0",
    "--chroot-base-dir",
    base,
  ];
  return [...own, ...more, "--", "--api-sock", "/run/api", "--no-seccomp"];
}

async function run(program: string, args: readonly string[]): Promise<Exit> {
  const child = spawn(program, args, { stdio: ["ignore", "ignore", "pipe"] });
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  return await new Promise((resolve) => {
    child.once("close", (code) => resolve({ code, errors }));
  });
}

/** Resolves when the socket accepts connections, whatever name it was bound under. */
async function accepts(path: string): Promise<void> {
  const appeared = Promise.withResolvers<void>();
  using _watcher = watchFor(path, appeared.resolve);
  await appeared.promise;
  for (;;) {
    // Between bind(2), which makes the name, and listen(2) it refuses.
    const refused = await openWire(path).then(
      (wire) => wire[Symbol.dispose](),
      (error: unknown) => error,
    );
    if (refused === undefined) return;
    expect(refused).toMatchObject({ code: "ECONNREFUSED" });
  }
}

function watchFor(path: string, found: () => void): Disposable {
  const check = (): void => {
    if (existsSync(path)) found();
  };
  const watcher = watch(dirname(path), check);
  check();
  return { [Symbol.dispose]: () => watcher.close() };
}

function createBase(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), "fc-jail-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

function findRealJailer(): Programs | undefined {
  const found = findRealPrograms("the real jailer");
  if (found === undefined) return undefined;
  const why = process.getuid?.() === 0 ? undefined : "only root can build a jail";
  if (found.jailerBin !== undefined && why === undefined)
    return { bin: found.bin, jailerBin: found.jailerBin };
  console.warn(`skipped: the real jailer: ${why ?? "it is not beside firecracker"}`);
  return undefined;
}
