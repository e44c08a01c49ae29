/** The runtime directory of a VM: where its hypervisor's sockets and the agent channel live while it runs. */
import { mkdir } from "node:fs/promises";
import { removeTree } from "../lib/remove-tree.ts";
import type { Capability } from "../model/capability.ts";

export function createChannelCapability(options: { runtimeDir: (id: string) => string }): Capability {
  return {
    name: "agent channel",
    async prepare({ vm }) {
      // A directory from before a crash holds dead sockets only: the VM is stopped, or this would not run.
      await removeTree(options.runtimeDir(vm.id));
      await mkdir(options.runtimeDir(vm.id), { recursive: true, mode: 0o700 });
    },
    async cleanup({ id }) {
      await removeTree(options.runtimeDir(id));
    },
  };
}
