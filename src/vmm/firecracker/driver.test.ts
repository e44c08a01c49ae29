/** Level 1: the driver against a stub that checks every request and answer against Firecracker's own API description. */
import { afterAll, describe, expect, test } from "bun:test";
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import {
  createFirecrackerStub,
  type FirecrackerStub,
} from "../../../test/support/firecracker-stub/create.ts";
import type { Machine, Rate } from "../../model/machine.ts";
import { type ContractBench, createContractBench, createTestMachine } from "../contract/bench.ts";
import { type ContractSubject, driverContract } from "../contract.ts";
import { createFirecrackerDriver, type FirecrackerDriverOptions } from "./driver.ts";

const stub = createFirecrackerStub();
afterAll(async () => await stub[Symbol.asyncDispose]());
const isRoot = process.geteuid?.() === 0;

driverContract(subjectOf(stub, "the Firecracker", { jailer: "off" }));
driverContract(subjectOf(stub, "the Firecracker (in a user namespace)", { jailer: "auto", isRoot: false }));
if (isRoot) driverContract(subjectOf(stub, "the Firecracker (in a jail)", { jailer: "on" }));
else console.warn("skipped: the Firecracker driver in a jail, for want of root");

describe("the Firecracker driver", () => {
  test("asks for everything on one connection, and starts only when all of it was accepted", async () => {
    await using own = createFirecrackerStub();
    const subject = subjectOf(own, "own", { jailer: "off" });
    await using bench = await createContractBench(subject);
    const running = await bench.driver.start(bench.machine, bench.dir);
    await running.pause();
    await running.kill();
    const requests = own.requests();
    expect(requests.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "PUT /machine-config",
      "PUT /boot-source",
      "PUT /vsock",
      "PUT /entropy",
      "PUT /balloon",
      "PUT /serial",
      "PUT /actions",
      "PATCH /vm",
    ]);
    expect(new Set(requests.map(({ connection }) => connection))).toEqual(new Set([1]));
    expect(new Set(requests.map(({ status }) => status))).toEqual(new Set([204]));
  });

  test("tells of its process before it has asked Firecracker for anything", async () => {
    await using own = createFirecrackerStub();
    await using bench = await createContractBench(subjectOf(own, "own", { jailer: "off" }));
    let requests = Number.NaN;
    const running = await bench.driver.start(bench.machine, bench.dir, {
      spawned: () => void (requests = own.requests().length),
    });
    await running.kill();
    expect(requests).toBe(0);
  });

  test("tells Firecracker to look at a disk again that has grown, also after adopting it", async () => {
    await using own = createFirecrackerStub();
    const subject = subjectOf(own, "own", { jailer: "off" });
    await using bench = await createContractBench(subject);
    const path = join(bench.dir.stateDir, "disk.ext4");
    writeFileSync(path, new Uint8Array(1024 * 1024));
    const machine = { ...bench.machine, disks: [{ id: "disk-1", path, readOnly: false }] };
    const running = await bench.driver.start(machine, bench.dir);
    const adopted = await bench.driver.adopt(running.handles, bench.dir);
    await adopted?.diskGrown("disk-1", 2 * 1024 * 1024);
    await running.kill();
    // The name is relative to the VM's directory: a clone of its snapshot has its own file by that name.
    expect(own.requests().at(-1)).toMatchObject({
      method: "PATCH",
      path: "/drives/disk_1",
      body: { drive_id: "disk_1", path_on_host: "disk.ext4" },
      status: 204,
    });
  });

  test("names each disk's serial on the kernel command line, and the guest's flushes are kept", async () => {
    await using own = createFirecrackerStub();
    await using bench = await createContractBench(subjectOf(own, "own", { jailer: "off" }));
    const disks = ["rootfs", "disk"].map((id) => {
      const path = join(bench.dir.stateDir, `${id}.img`);
      writeFileSync(path, new Uint8Array(4096));
      return { id, path, readOnly: id === "rootfs" };
    });
    await (await bench.driver.start({ ...bench.machine, disks }, bench.dir)).kill();
    const bootArgs = own.requests().find(({ path }) => path === "/boot-source")?.body;
    expect(JSON.stringify(bootArgs)).toMatch(
      / banger\.disk=rootfs:[0-9]{4,20} banger\.disk=disk:[0-9]{4,20} /,
    );
    const drives = own.requests().filter(({ path }) => path.startsWith("/drives/"));
    expect(drives.map(({ body }) => body)).toMatchObject([
      { drive_id: "rootfs", is_read_only: true, cache_type: "Unsafe" },
      { drive_id: "disk", is_read_only: false, cache_type: "Writeback" },
    ]);
  });

  test("holds disks and cards to their rates, and a clone to its own", async () => {
    await using own = createFirecrackerStub();
    const subject = subjectOf(own, "own", { jailer: "off" });
    await using first = await createContractBench(subject);
    await using second = await createContractBench(subject);
    const limited = (bench: ContractBench, rate: Rate): Machine => {
      const path = join(bench.dir.stateDir, "disk.ext4");
      writeFileSync(path, new Uint8Array(4096));
      const nic = { id: "net-0", mac: "52:54:00:00:00:01", tap: "tap0", rate: { bytesPerSecond: 2 ** 21 } };
      return { ...bench.machine, disks: [{ id: "disk", path, readOnly: false, rate }], nics: [nic] };
    };
    const saved = limited(first, { bytesPerSecond: 2 ** 20, opsPerSecond: 50 });
    const running = await first.driver.start(saved, first.dir);
    await running.pause();
    const snapshotDir = join(first.dir.stateDir, "snapshot");
    mkdirSync(snapshotDir, { mode: 0o700 });
    await running.snapshot(snapshotDir);
    await running.kill();
    const perSecond = (size: number): object => ({ size, refill_time: 1000 });
    const bodyOf = (path: string): unknown => own.requests().find((request) => request.path === path)?.body;
    expect(bodyOf("/drives/disk")).toMatchObject({
      rate_limiter: { bandwidth: perSecond(2 ** 20), ops: perSecond(50) },
    });
    const limiter = { bandwidth: perSecond(2 ** 21) };
    expect(bodyOf("/network-interfaces/net_0")).toMatchObject({
      rx_rate_limiter: limiter,
      tx_rate_limiter: limiter,
    });

    const before = own.requests().length;
    const clone = limited(second, { opsPerSecond: 70 });
    await (await second.driver.resume(clone, snapshotDir, second.dir)).kill();
    const none = { size: 0, refill_time: 0 };
    const nicLimiter = { bandwidth: perSecond(2 ** 21), ops: none };
    expect(own.requests().slice(before)).toMatchObject([
      { path: "/snapshot/load", status: 204 },
      {
        method: "PATCH",
        path: "/drives/disk",
        status: 204,
        body: { drive_id: "disk", rate_limiter: { bandwidth: none, ops: perSecond(70) } },
      },
      {
        method: "PATCH",
        path: "/network-interfaces/net_0",
        status: 204,
        body: { iface_id: "net_0", rx_rate_limiter: nicLimiter, tx_rate_limiter: nicLimiter },
      },
    ]);
  });

  test("takes snapshots and starts from them with one request, with network and socket of the new machine", async () => {
    await using own = createFirecrackerStub();
    const subject = subjectOf(own, "own", { jailer: "off" });
    await using first = await createContractBench(subject);
    await using second = await createContractBench(subject);
    const running = await first.driver.start(first.machine, first.dir);
    await running.pause();
    const snapshotDir = join(first.dir.stateDir, "snapshot");
    mkdirSync(snapshotDir, { mode: 0o700 });
    await running.snapshot(snapshotDir);
    expect(existsSync(join(snapshotDir, "state")) && existsSync(join(snapshotDir, "memory"))).toBe(true);
    await running.kill();
    const before = own.requests().length;
    const resumed = await second.driver.resume(second.machine, snapshotDir, second.dir);
    await echoes(await resumed.channel());
    await resumed.kill();
    const [load, ...more] = own.requests().slice(before);
    expect(more).toEqual([]);
    expect(load).toMatchObject({
      path: "/snapshot/load",
      status: 204,
      body: {
        resume_vm: true,
        mem_backend: { backend_type: "File" },
        vsock_override: { uds_path: join(second.dir.runtimeDir, "v.sock") },
        huge_pages: "None",
      },
    });
  });

  test("has no snapshots before 1.16, and says so", async () => {
    await using old = createFirecrackerStub({ version: "1.15.1" });
    await using bench = await createContractBench(subjectOf(old, "old", { jailer: "off" }));
    expect(await bench.driver.probe()).toMatchObject({
      available: true,
      features: { snapshot: false },
      notes: expect.arrayContaining(["snapshots need Firecracker 1.16.0 or newer"]),
    });
    const error = await bench.driver
      .resume(bench.machine, bench.dir.stateDir, bench.dir)
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "unsupported" });
  });

  test("attaches devices by PCI where it is asked to and the version has it", async () => {
    await using own = createFirecrackerStub();
    await using bench = await createContractBench(subjectOf(own, "own", { jailer: "off", transport: "pci" }));
    await (await bench.driver.start(bench.machine, bench.dir)).kill();
    expect(own.records().find(({ kind }) => kind === "start")).toMatchObject({
      argv: expect.arrayContaining(["--enable-pci"]),
    });
    expect(JSON.stringify(own.requests())).not.toContain("pci=off");
    await using old = createFirecrackerStub({ version: "1.12.0" });
    expect(await createFirecrackerDriver(optionsOf(old, { transport: "pci" })).probe()).toMatchObject({
      available: false,
      reason: "PCI needs Firecracker 1.13.0 or newer; this is 1.12.0",
    });
  });

  test("waits for the guest's agent, and asks again when it knocks", async () => {
    await using own = createFirecrackerStub({ vsock: { kind: "refuse", count: 1 } });
    await using bench = await createContractBench(subjectOf(own, "own", { jailer: "off" }));
    const running = await bench.driver.start(bench.machine, bench.dir);
    const channel = await running.channel();
    const echoed = echoes(channel);
    await knockAt(join(bench.dir.runtimeDir, "v.sock_1024"));
    await echoed;
    await running.kill();
    expect(readdirSync(bench.dir.runtimeDir)).not.toContain("v.sock_1024");
  });

  test.skipIf(!isRoot)("runs in the network namespace of its taps, and refuses taps of several", async () => {
    await using own = createFirecrackerStub();
    await using bench = await createContractBench(subjectOf(own, "own", { jailer: "off" }));
    using undo = new DisposableStack();
    const name = `bt-fc-${process.pid}`;
    const netns = `/run/netns/${name}`;
    execFileSync("ip", ["netns", "add", name]);
    undo.defer(() => execFileSync("ip", ["netns", "del", name]));
    const ours = readlinkSync("/proc/thread-self/ns/net");
    const nic = { id: "net-0", mac: "52:54:00:00:00:01", tap: "tap0", netns };
    const running = await bench.driver.start({ ...bench.machine, nics: [nic] }, bench.dir);
    const theirs = readlinkSync(`/proc/${running.handles.process.pid}/ns/net`);
    await running.kill();
    expect(theirs).toBe(`net:[${statSync(netns).ino}]`);
    expect(readlinkSync("/proc/thread-self/ns/net")).toBe(ours);

    const other = { id: "net-1", mac: "52:54:00:00:00:02", tap: "tap1" };
    const error = await bench.driver
      .start({ ...bench.machine, nics: [nic, other] }, bench.dir)
      .catch((e: unknown) => e);
    expect(error).toMatchObject({ code: "unsupported" });
  });

  test("appends to the console file, and says nothing of Firecracker's own there", async () => {
    await using own = createFirecrackerStub();
    await using bench = await createContractBench(subjectOf(own, "own", { jailer: "off" }));
    writeFileSync(bench.machine.consolePath, "earlier\n");
    await (await bench.driver.start(bench.machine, bench.dir)).kill();
    expect(readFileSync(bench.machine.consolePath, "utf8")).toStartWith("earlier\n");
  });
});

function optionsOf(from: FirecrackerStub, more: Partial<FirecrackerDriverOptions>): FirecrackerDriverOptions {
  return {
    verdictCachePath: join(from.dir, "verdicts.json"),
    chrootBase: join(from.dir, "jails"),
    binary: from.bin,
    jailerBinary: from.jailerBin,
    kvm: { kind: "works" },
    ...more,
  };
}

function subjectOf(
  from: FirecrackerStub,
  name: string,
  more: Partial<FirecrackerDriverOptions>,
): ContractSubject {
  return {
    name,
    createDriver: () => createFirecrackerDriver(optionsOf(from, more)),
    createMachine: createTestMachine,
    exchange: echoes,
  };
}

/** What Firecracker does when the guest connects to the host. */
async function knockAt(path: string): Promise<void> {
  const socket = connect(path);
  socket.resume();
  await once(socket, "close");
}

async function echoes(channel: Duplex): Promise<void> {
  const heard = new Promise<string>((resolve) =>
    channel.once("data", (bytes: Uint8Array) => resolve(Buffer.from(bytes).toString())),
  );
  channel.write("hello");
  expect(await heard).toBe("hello");
}
