/** The disks of a VM: the image, shared and read-only, and a writable layer of its own. */
import { existsSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { publishFile, removeLeftovers, syncPath } from "../lib/publish.ts";
import { copySparse } from "../lib/sparse-copy.ts";
import type { Capability } from "../model/capability.ts";
import { diskBytes } from "../model/spec.ts";
import { createDisk, growDisk } from "./disks.ts";

/** `diskPath` says where a VM's writable layer lives; the file goes with the VM's directory. */
export function createDiskCapability(options: { diskPath: (id: string) => string }): Capability {
  /** Disks that are being brought to disk while their VMs start. */
  const flushing = new Map<string, Promise<void>>();
  return {
    name: "disks",
    async prepare({ vm, saved, keeps }, undo) {
      const path = options.diskPath(vm.id);
      await removeLeftovers(dirname(path));
      if (saved !== undefined && !existsSync(path)) {
        await saved.making?.captured;
        // One that goes with its run need not outlive the host; one that will not, goes as long as it does not run.
        const flush = keeps && !vm.ephemeral;
        await publishFile(path, async (to) => void (await copySparse(saved.diskPath, to)), { flush });
        if (keeps && !flush) {
          const flushed = syncFile(path);
          // Whoever waits for it hears; nobody does when the start fails before.
          flushed.catch(() => undefined);
          flushing.set(vm.id, flushed);
          undo.defer(() => void flushing.delete(vm.id));
        }
        // A first start that fails is made anew, perhaps from something else.
        undo.defer(() => rm(path, { force: true }));
      }
      // The layer outlives a stop, and keeps what was written to it. It is published whole: what is there is good.
      if (!existsSync(path)) await createDisk(path, diskBytes(vm.spec));
      // A guest that goes on finds the disk that it had.
      else if (saved?.machineDir === undefined) await growToAtLeast(path, diskBytes(vm.spec));
    },
    async started({ id }) {
      await flushing.get(id);
      flushing.delete(id);
    },
    async resumed({ vm }, running) {
      await growDisk(options.diskPath(vm.id), diskBytes(vm.spec));
      await running.diskGrown("disk", diskBytes(vm.spec));
    },
    async changed({ before, after: vm }, running) {
      if (before.spec.diskMib === vm.spec.diskMib) return;
      const path = options.diskPath(vm.id);
      // A VM that never started has no disk yet.
      if (!existsSync(path)) return;
      await growDisk(path, diskBytes(vm.spec));
      await running?.diskGrown("disk", diskBytes(vm.spec));
    },
    contribute({ vm, image }, draft) {
      draft.disks.push(
        { id: "rootfs", path: image.rootfsPath, readOnly: true },
        { id: "disk", path: options.diskPath(vm.id), readOnly: false },
      );
    },
  };
}

/** One that is larger than its record says, as when an older database was brought back, stays as large. */
async function growToAtLeast(path: string, sizeBytes: number): Promise<void> {
  const { size } = await stat(path);
  if (size < sizeBytes) await growDisk(path, sizeBytes);
}

async function syncFile(path: string): Promise<void> {
  await syncPath(path);
  await syncPath(dirname(path));
}
