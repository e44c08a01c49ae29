/** The runtime directory of a VM: where its hypervisor's sockets and the agent channel live while it runs. */
import { mkdir, rm } from "node:fs/promises";
import type { Capability } from "../model/capability.ts";

export function createChannelCapability(options: { runtimeDir: (id: string) => string }): Capability {
  return {
    name: "agent channel",
    async prepare({ vm }) {
      // A directory from before a crash holds dead sockets only: the VM is stopped, or this would not run.
      await rm(options.runtimeDir(vm.id), { recursive: true, force: true });
      await mkdir(options.runtimeDir(vm.id), { recursive: true, mode: 0o700 });
    },
    async cleanup({ id }) {
      await rm(options.runtimeDir(id), { recursive: true, force: true });
    },
  };
}
