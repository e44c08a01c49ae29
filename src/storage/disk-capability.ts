/** The disks of a VM: the image, shared and read-only, and a writable layer of its own. */
import { existsSync } from "node:fs";
import { dirname } from "node:path";
import { removeLeftovers } from "../lib/publish.ts";
import type { Capability } from "../model/capability.ts";
import type { VmRecord } from "../model/vm.ts";
import { createDisk } from "./disks.ts";

/** `diskPath` says where a VM's writable layer lives; the file goes with the VM's directory. */
export function createDiskCapability(options: { diskPath: (id: string) => string }): Capability {
  return {
    name: "disks",
    async prepare({ vm }) {
      const path = options.diskPath(vm.id);
      await removeLeftovers(dirname(path));
      // The layer outlives a stop, and keeps what was written to it. It is published whole: what is there is good.
      if (!existsSync(path)) await createDisk(path, diskBytes(vm));
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
