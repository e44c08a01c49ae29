/** The published ports in the life of a VM: taken before anything of it starts, or as soon as a daemon finds it running, let through when it answers, let go at its end. */
import type { Capability } from "../../model/capability.ts";
import type { PublishedPorts } from "./published-ports.ts";

export function createPortsCapability(published: PublishedPorts): Capability {
  return {
    name: "ports",
    settle: async (spec, before) => await published.settle(spec, before?.ports ?? []),
    preflight: async ({ vm }) => await published.check(vm),
    prepare: async ({ vm }) => await published.prepare(vm),
    taken: async ({ vm }) => await published.prepare(vm),
    adopted: async (vm) => await published.adopt(vm),
    reachable: async (vm) => await published.reachable(vm),
    changed: async (change) => await published.sync(change),
    cleanup: async ({ id }) => published.close(id),
  };
}
