/** The disks of a VM: the image, shared and read-only, and a writable layer of its own. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { removeLeftovers } from "../lib/publish.ts";
import type { Capability } from "../model/capability.ts";
import type { VmRecord } from "../model/vm.ts";
import { createDisk, growDisk } from "./disks.ts";

/** `diskPath` says where a VM's writable layer lives; the file goes with the VM's directory. */
export function createDiskCapability(options: { diskPath: (id: string) => string }): Capability {
  return {
    name: "disks",
    async prepare({ vm }) {
      const path = options.diskPath(vm.id);
      await removeLeftovers(dirname(path));
      // The layer outlives a stop, and keeps what was written to it. It is published whole: what is there is good.
      if (existsSync(path)) await growDisk(path, diskBytes(vm));
      else await createDisk(path, diskBytes(vm));
    },
    async changed(vm, running) {
      const path = options.diskPath(vm.id);
      // A VM that never started has no disk yet.
      if (!existsSync(path)) return;
      await growDisk(path, diskBytes(vm));
      await running?.diskGrown("disk", diskBytes(vm));
    },
    contribute({ vm, image }, draft) {
      draft.disks.push(
        { id: "rootfs", path: image.rootfsPath, readOnly: true },
        { id: "disk", path: options.diskPath(vm.id), readOnly: false },
      );
    },
  };
}

function diskBytes(vm: VmRecord): number {
  return vm.spec.diskMib * 1024 * 1024;
}
