/** What a home's network leaves on the host when it leaves something. */
import { existsSync } from "node:fs";
import { findByCommandLine } from "../../src/lib/process-identity.ts";
import { DEFAULT_POOL } from "../../src/model/addresses.ts";
import { listDevices } from "../../src/network/host-facts.ts";
import { createPlan } from "../../src/network/names.ts";

/** The names of the namespace, link and uplink of this state directory that are there; none after its daemon has ended without VMs. */
export function networkRemains(stateDir: string): string[] {
  const plan = createPlan({ uid: process.getuid?.() ?? 0, stateDir, pool: DEFAULT_POOL });
  return [
    ...(existsSync(plan.netnsPath) ? [`namespace ${plan.name}`] : []),
    ...(listDevices().has(plan.hostLink) ? [`link ${plan.hostLink}`] : []),
    ...findByCommandLine(plan.netnsPath).map(({ pid }) => `uplink ${pid}`),
  ];
}
