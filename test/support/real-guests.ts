/** Real guests straight on the hypervisor port, without a daemon: booted, saved, and any number of clones. */
import { randomBytes, randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Glob } from "bun";
import { Agent } from "../../src/guest/agent.ts";
import { parseExecResult } from "../../src/guest/commands.ts";
import type { ResumedGuest } from "../../src/guest/snapshot.ts";
import { createInitramfs } from "../../src/images/initramfs.ts";
import { listKernels } from "../../src/images/kernel-store.ts";
import { copySparse } from "../../src/lib/sparse-copy.ts";
import type { Disk, Machine } from "../../src/model/machine.ts";
import { createDisk } from "../../src/storage/disks.ts";
import type { Driver, RunDir, Running } from "../../src/vmm/port.ts";
import { createQemuDriver } from "../../src/vmm/qemu/driver.ts";
import { AGENT } from "./agent.ts";
import { createRealHome, type RealHome } from "./real-home.ts";

export interface RealGuest {
  readonly machine: Machine;
  readonly dir: RunDir;
  readonly running: Running;
  readonly agent: Agent;
  /** What the guest was told that it is; the boot id of one that was booted is its kernel's. */
  readonly identity: { readonly hostname: string; readonly machineId: string; readonly bootId: string };
  /** Runs a shell script to its end and returns what it wrote; it must succeed. */
  sh(script: string): Promise<string>;
}

/** A saved guest: the three files of the port, and its disk. */
export interface SavedGuest {
  readonly machineDir: string;
  readonly diskPath: string;
  /** How long the guest stood still. */
  readonly pauseMs: number;
}

/** What all machines have in common. */
type Template = Omit<Machine, "id" | "disks" | "consolePath"> & { readonly rootfs: string };

export class RealGuests implements AsyncDisposable {
  readonly driver: Driver;
  readonly #home: RealHome;
  readonly #template: Template;
  readonly #running = new Set<Running>();
  #count = 0;

  static async create(memoryMib: number): Promise<RealGuests> {
    const home = await createRealHome();
    const [kernel] = await listKernels(join(home.home, "kernels"));
    if (kernel === undefined) throw new Error("the prepared home has no kernel");
    const rootfs = [...new Glob("images/*/rootfs.squashfs").scanSync({ cwd: home.home })][0] ?? "";
    const initramfsPath = await createInitramfs({ agentPath: AGENT, kernel, dir: join(home.home, "cache") });
    return new RealGuests(home, {
      vcpus: 1,
      memoryMib,
      kernelPath: kernel.vmlinuxPath,
      initramfsPath,
      cmdline: ["quiet"],
      nics: [],
      rootfs: join(home.home, rootfs),
    });
  }

  private constructor(home: RealHome, template: Template) {
    this.#home = home;
    this.#template = template;
    this.driver = createQemuDriver({ verdictCachePath: join(home.home, "cache/kvm-verdicts.json") });
  }

  /** Boots one cold. `moreDisks`: beside its own two; their files exist. */
  async boot(moreDisks: readonly Disk[] = []): Promise<RealGuest> {
    const { machine: plain, dir } = this.describe();
    const machine = { ...plain, disks: [...plain.disks, ...moreDisks] };
    await createDisk(diskOf(machine), 4 * 1024 ** 3);
    const running = this.#keep(await this.driver.start(machine, dir));
    const agent = await connect(running, true);
    const identity = { hostname: "original", machineId: "1".repeat(32), bootId: agent.facts.bootId };
    await agent.configure({
      hostname: "original",
      init: "agent",
      rootfs: { disk: "rootfs", type: "squashfs" },
      writable: { disk: "disk", type: "ext4" },
      env: { PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin" },
      hosts: [],
      mounts: [],
      machineId: identity.machineId,
      poweroff: running.poweroff,
    });
    return guest({
      machine,
      dir,
      running,
      agent,
      identity,
    });
  }

  /** Saves a guest, which goes on. */
  async save(saved: RealGuest): Promise<SavedGuest> {
    const home = this.#fresh("saved");
    const machineDir = join(home, "machine");
    mkdirSync(machineDir, { mode: 0o700 });
    const diskPath = join(home, "disk.ext4");
    const captured = Promise.withResolvers<void>();
    await saved.running.pause();
    const from = performance.now();
    const writing = saved.running.snapshot(machineDir, { captured: captured.resolve });
    await Promise.all([
      Promise.race([captured.promise, writing]),
      copySparse(diskOf(saved.machine), diskPath),
    ]);
    await saved.running.resume();
    const pauseMs = performance.now() - from;
    await writing;
    return { machineDir, diskPath, pauseMs };
  }

  /** A clone of its own identity, with its own disk. */
  async resume(saved: SavedGuest): Promise<RealGuest & ResumedGuest> {
    const { machine, dir } = this.describe();
    await copySparse(saved.diskPath, diskOf(machine));
    const running = this.#keep(await this.driver.resume(machine, saved.machineDir, dir));
    const agent = await connect(running, false);
    const hostname = machine.id.replace("real-", "clone-");
    const identity = { hostname, machineId: randomBytes(16).toString("hex"), bootId: randomUUID() };
    const resumed = await agent.resumed({
      ...identity,
      hosts: [{ address: "172.16.0.9", names: [hostname] }],
    });
    return { ...guest({ machine, dir, running, agent, identity }), ...resumed };
  }

  /** A machine and the directories for it; nothing runs yet. */
  describe(): { readonly machine: Machine; readonly dir: RunDir } {
    const { rootfs, ...template } = this.#template;
    const stateDir = this.#fresh("vm");
    const runtimeDir = join(this.#home.home, "run", `g${this.#count}`);
    mkdirSync(runtimeDir, { recursive: true, mode: 0o700 });
    const disks = [
      { id: "rootfs", path: rootfs, readOnly: true },
      { id: "disk", path: join(stateDir, "disk.ext4"), readOnly: false },
    ];
    const id = `real-${process.pid}-${this.#count}`;
    const machine = { ...template, id, disks, consolePath: join(stateDir, "console.log") };
    return { machine, dir: { stateDir, runtimeDir } };
  }

  #fresh(name: string): string {
    this.#count += 1;
    const path = join(this.#home.home, `${name}-${this.#count}`);
    mkdirSync(path, { mode: 0o700 });
    return path;
  }

  #keep(running: Running): Running {
    this.#running.add(running);
    return running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#running].map(async (running) => await running.kill({ graceMs: 0 })));
    await this.#home[Symbol.asyncDispose]();
  }
}

function diskOf(machine: Machine): string {
  return machine.disks.find(({ id }) => id === "disk")?.path ?? "";
}

async function connect(running: Running, fresh: boolean): Promise<Agent> {
  return await Agent.connect(await running.channel(), { fresh, signal: new AbortController().signal });
}

function guest(parts: Omit<RealGuest, "sh">): RealGuest {
  let commands = 0;
  return {
    ...parts,
    async sh(script) {
      let text = "";
      const spec = { argv: ["sh", "-c", script], env: {}, cwd: undefined, user: undefined, tty: undefined };
      commands += 1;
      const stream = parts.agent.exec(
        `${parts.machine.id}-${commands}`,
        { ...spec, timeoutMs: 0 },
        {
          onData: (_, bytes) => {
            text += Buffer.from(bytes).toString();
          },
        },
      );
      stream.sendEnd();
      const result = parseExecResult(await stream.result);
      if (result.kind !== "exited" || result.exitCode !== 0) throw new Error(`${script}: ${text}`);
      return text.trim();
    },
  };
}
