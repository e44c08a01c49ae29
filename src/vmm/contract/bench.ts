/** One machine's directories and driver for a contract test, and the check that nothing of it is left. */
import { expect } from "bun:test";
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Duplex } from "node:stream";
import { watchProcess } from "../../lib/process-watch.ts";
import { removeTree } from "../../lib/remove-tree.ts";
import type { Machine } from "../../model/machine.ts";
import { findHypervisors } from "../hypervisor-user.ts";
import { type Driver, type RunDir } from "../port.ts";

export interface ContractSubject {
  readonly name: string;
  /** Makes a new driver; no two share anything but the host. */
  readonly createDriver: () => Driver;
  /** Describes a machine that runs until it is killed; its files go into `directory`. */
  readonly createMachine: (id: string, directory: string) => Machine;
  /** Proves that bytes travel both ways. Left out where the machine's guest does not answer. */
  readonly exchange?: (channel: Duplex) => Promise<void>;
  /** False for a driver that has none (default true); its `Features` say so, too. */
  readonly snapshots?: boolean;
  /** False for a driver whose channel may end with a snapshot, and can then be opened again (default true). */
  readonly keepsChannel?: boolean;
}

export interface ContractBench extends AsyncDisposable {
  readonly driver: Driver;
  readonly machine: Machine;
  readonly dir: RunDir;
}

/** The caller disposes it: that ends every process of the machine and removes the directories. */
export async function createContractBench(subject: ContractSubject): Promise<ContractBench> {
  const id = `contract-${randomBytes(4).toString("hex")}`;
  const directory = await mkdtemp(join(tmpdir(), "banger-contract-"));
  const dir: RunDir = { stateDir: join(directory, "state"), runtimeDir: join(directory, "run") };
  for (const path of [dir.stateDir, dir.runtimeDir]) mkdirSync(path, { mode: 0o700 });
  return {
    driver: subject.createDriver(),
    machine: subject.createMachine(id, directory),
    dir,
    async [Symbol.asyncDispose]() {
      for (const handle of findHypervisors(id)) {
        const watch = await watchProcess(handle);
        watch?.signal("SIGKILL");
        await watch?.ended;
      }
      expect(findHypervisors(id)).toEqual([]);
      await removeTree(directory);
    },
  };
}

/** A small machine whose kernel is `kernel`, with an empty initramfs; for `ContractSubject.createMachine`. */
export function createTestMachine(
  id: string,
  directory: string,
  kernel: Uint8Array = new Uint8Array(0),
): Machine {
  const kernelPath = join(directory, "vmlinux");
  const initramfsPath = join(directory, "initramfs");
  writeFileSync(kernelPath, kernel);
  writeFileSync(initramfsPath, new Uint8Array(512));
  return {
    id,
    vcpus: 1,
    memoryMib: 64,
    kernelPath,
    initramfsPath,
    cmdline: ["quiet"],
    disks: [],
    nics: [],
    consolePath: join(directory, "state", "console.log"),
  };
}
