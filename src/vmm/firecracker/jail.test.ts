/** Jails: what is in one, what becomes of it, and that nothing outside is ever touched. */
import { describe, expect, test } from "bun:test";
import {
  chmodSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runProgram } from "../../lib/run-program.ts";
import type { Machine } from "../../model/machine.ts";
import type { RunDir } from "../port.ts";
import { createJail, type Jail } from "./jail.ts";
import { createJailCapability } from "./jail-capability.ts";
import { jailDir, jailOwner } from "./jail-paths.ts";
import { removeJails } from "./jail-removal.ts";

class Scratch implements AsyncDisposable {
  readonly path: string;
  readonly base: string;
  readonly dir: RunDir;

  constructor(parent: string = tmpdir()) {
    this.path = mkdtempSync(join(parent, "banger-jail-"));
    this.base = join(this.path, "jails");
    this.dir = { stateDir: join(this.path, "state"), runtimeDir: join(this.path, "run") };
    for (const path of [this.dir.stateDir, this.dir.runtimeDir]) mkdirSync(path);
  }

  file(name: string, mode = 0o600): string {
    const path = join(this.path, name);
    writeFileSync(path, name, { mode });
    return path;
  }

  machine(): Machine {
    return {
      id: "a1b2c3d4e5f6",
      vcpus: 1,
      memoryMib: 64,
      kernelPath: this.file("vmlinux"),
      initramfsPath: this.file("initramfs"),
      cmdline: [],
      disks: [
        { id: "rootfs", path: this.file("rootfs.squashfs"), readOnly: true },
        { id: "disk", path: this.file("state/disk.ext4"), readOnly: false },
      ],
      nics: [],
      consolePath: join(this.dir.stateDir, "console.log"),
    };
  }

  async jail(machine: Machine): Promise<Jail> {
    return await createJail(machine, this.dir, {
      jailer: "/usr/bin/jailer",
      base: this.base,
      program: "/usr/bin/firecracker",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (existsSync(this.base)) await removeJails(this.base, this.machine().id);
    rmSync(this.path, { recursive: true });
  }
}

const ID = "a1b2c3d4e5f6";
const isRoot = process.geteuid?.() === 0;
if (!isRoot) console.warn("skipped: making jails, for want of root");

describe.skipIf(!isRoot)("a jail", () => {
  test("has hard links to what the machine needs, by the host's names, and nothing else", async () => {
    await using scratch = new Scratch();
    const machine = scratch.machine();
    const jail = await scratch.jail(machine);
    const inside = (path: string): string => join(jail.root, path);
    for (const path of [machine.kernelPath, machine.initramfsPath, machine.disks[0]?.path ?? ""]) {
      expect(statSync(inside(path)).ino).toBe(statSync(path).ino);
      // Its user, who is nobody, has to read them.
      expect(statSync(path).mode & 0o004).toBe(0o004);
      expect(statSync(path).uid).toBe(0);
    }
    const disk = statSync(inside("disk.ext4"));
    expect(disk).toMatchObject({ uid: jail.owner.uid, gid: jail.owner.gid });
    expect(disk.mode & 0o777).toBe(0o600);
    const names = ["disk.ext4", "firecracker.log", "firecracker.metrics", scratch.path.split("/")[1] ?? ""];
    expect(readdirSync(jail.root).sort()).toEqual(names.sort());
  });

  test("starts the jailer with a user of the VM's own", async () => {
    await using scratch = new Scratch();
    const jail = await scratch.jail(scratch.machine());
    const { uid, gid } = jailOwner(ID);
    const expected = `--id banger-${ID} --exec-file /usr/bin/firecracker --uid ${uid} --gid ${gid}`;
    expect(jail.args.join(" ")).toBe(`${expected} --chroot-base-dir ${scratch.base} --`);
    expect(uid).toBeGreaterThanOrEqual(2_000_000_000);
    expect(jailOwner("another").uid).not.toBe(uid);
  });

  test("replaces one that a crash left, whatever is in it", async () => {
    await using scratch = new Scratch();
    const machine = scratch.machine();
    const stale = await scratch.jail(machine);
    mkdirSync(join(stale.root, "dev"));
    writeFileSync(join(stale.root, "dev/kvm"), "");
    const fresh = await scratch.jail(machine);
    expect(existsSync(join(fresh.root, "dev"))).toBe(false);
  });

  test("follows a symbolic link of the host to the file that is meant", async () => {
    await using scratch = new Scratch();
    const machine = scratch.machine();
    const link = join(scratch.path, "link");
    symlinkSync(machine.kernelPath, link);
    const jail = await scratch.jail({ ...machine, kernelPath: link });
    expect(lstatSync(join(jail.root, link)).isFile()).toBe(true);
  });

  test("mounts what another file system has, and unmounts it before it is removed", async () => {
    await using scratch = new Scratch();
    await using elsewhere = new Scratch("/dev/shm");
    const machine = { ...scratch.machine(), kernelPath: elsewhere.file("vmlinux") };
    expect(statSync(machine.kernelPath).dev).not.toBe(statSync(scratch.path).dev);
    const jail = await scratch.jail(machine);
    expect(readFileSync(join(jail.root, machine.kernelPath), "utf8")).toBe("vmlinux");
    await jail.remove();
    expect(existsSync(jailDir(scratch.base, "firecracker", ID))).toBe(false);
    expect(readFileSync(machine.kernelPath, "utf8")).toBe("vmlinux");
  });

  test("is gone when a file is missing, with the file's name in the error", async () => {
    await using scratch = new Scratch();
    const machine = { ...scratch.machine(), kernelPath: "/nonexistent/vmlinux" };
    const error: unknown = await scratch.jail(machine).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: "unavailable" });
    expect(String(error)).toContain("/nonexistent/vmlinux");
    expect(existsSync(jailDir(scratch.base, "firecracker", ID))).toBe(false);
  });
});

describe("removing jails", () => {
  function fill(scratch: Scratch): string {
    const root = join(jailDir(scratch.base, "firecracker", ID), "root");
    mkdirSync(join(root, "run/deep"), { recursive: true });
    writeFileSync(join(root, "run/deep/file"), "");
    return root;
  }

  test("takes everything of the VM, whatever the program was called, and nothing of another", async () => {
    await using scratch = new Scratch();
    fill(scratch);
    mkdirSync(join(jailDir(scratch.base, "firecracker-v1.13.1", ID), "root"), { recursive: true });
    mkdirSync(join(jailDir(scratch.base, "firecracker", "other"), "root"), { recursive: true });
    await removeJails(scratch.base, ID);
    await removeJails(scratch.base, ID);
    expect(readdirSync(join(scratch.base, "firecracker"))).toEqual(["banger-other"]);
    expect(readdirSync(join(scratch.base, "firecracker-v1.13.1"))).toEqual([]);
  });

  test("follows no symbolic link, neither in a jail nor in place of one", async () => {
    await using scratch = new Scratch();
    const root = fill(scratch);
    const treasure = join(scratch.path, "treasure");
    mkdirSync(treasure);
    writeFileSync(join(treasure, "gold"), "gold");
    symlinkSync(treasure, join(root, "run/way-out"));
    symlinkSync(join(treasure, "gold"), join(root, "gold"));
    mkdirSync(join(scratch.base, "other-program"));
    symlinkSync(treasure, jailDir(scratch.base, "other-program", ID));
    symlinkSync(treasure, join(scratch.base, "program-link"));
    mkdirSync(join(treasure, `banger-${ID}`));
    await removeJails(scratch.base, ID);
    expect(existsSync(jailDir(scratch.base, "firecracker", ID))).toBe(false);
    expect(readdirSync(treasure).sort()).toEqual([`banger-${ID}`, "gold"]);
  });

  test.skipIf(!isRoot)("empties no file system that somebody mounted in it", async () => {
    await using scratch = new Scratch();
    const root = fill(scratch);
    await using elsewhere = new Scratch("/dev/shm");
    const kept = elsewhere.file("kept");
    await runProgram(["mount", "--bind", elsewhere.path, realpathSync(join(root, "run"))]);
    await removeJails(scratch.base, ID);
    expect(existsSync(root)).toBe(false);
    expect(readFileSync(kept, "utf8")).toBe("kept");
  });

  test("leaves hard-linked files where they belong", async () => {
    await using scratch = new Scratch();
    const root = fill(scratch);
    const disk = scratch.file("disk.ext4");
    await runProgram(["ln", disk, join(root, "disk.ext4")]);
    await removeJails(scratch.base, ID);
    expect(statSync(disk).nlink).toBe(1);
  });

  test("is what the end of a VM does, with nothing there, too", async () => {
    await using scratch = new Scratch();
    const capability = createJailCapability({ base: scratch.base });
    await capability.cleanup?.({ id: ID });
    fill(scratch);
    chmodSync(scratch.base, 0o700);
    await capability.cleanup?.({ id: ID });
    expect(existsSync(jailDir(scratch.base, "firecracker", ID))).toBe(false);
  });
});
