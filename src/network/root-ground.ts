/** Root's namespace: one of ip-netns(8), which this process's own thread enters, and a link to the host. */
import { existsSync } from "node:fs";
import { inNetns } from "../lib/netns.ts";
import { openTap } from "../lib/tap.ts";
import { findAvailability } from "./availability.ts";
import { readBlocked } from "./blocked.ts";
import { createDnsServer } from "./dns/server.ts";
import type { Ground } from "./ground.ts";
import { listDevices } from "./host-facts.ts";
import { linkHost } from "./host-link.ts";
import type { NetworkPlan } from "./names.ts";
import type { NetPrograms } from "./programs.ts";
import { setSysctls } from "./sysctls.ts";

export function createRootGround({ name, netnsPath, hostLink }: NetworkPlan, programs: NetPrograms): Ground {
  const exists = (): boolean => existsSync(netnsPath);
  const isLinked = (): boolean => listDevices().has(hostLink);
  return {
    owner: "root",
    available: async () => findAvailability(),
    inside: {
      programs,
      setSysctls: async (isIpv6) => inNetns(netnsPath, () => setSysctls(isIpv6)),
      devices: async () => inNetns(netnsPath, listDevices),
      openTap: async (tap) => openTap(netnsPath, tap),
      serveDns: (options) => inNetns(netnsPath, () => createDnsServer(options)),
      readBlocked: (handlers) => readBlocked(netnsPath, handlers),
    },
    exists,
    keeper: () => undefined,
    async find() {
      if (exists()) return "namespace";
      return isLinked() ? "remains" : "nothing";
    },
    create: async () => await programs.ip(undefined, [`netns add ${name}`]),
    async remove() {
      programs.release(netnsPath);
      await programs.ip(undefined, [
        ...(isLinked() ? [`link del ${hostLink}`] : []),
        ...(exists() ? [`netns del ${name}`] : []),
      ]);
    },
    linkHost: async (plan) => await linkHost(plan, programs),
    uplinkArguments: () => [
      // It would become nobody and then lack the right to enter the namespace; it drops its capabilities and is under seccomp.
      "--runas",
      "0:0",
      "--netns",
      netnsPath,
    ],
  };
}
