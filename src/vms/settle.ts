/** What a VM is asked to be, before anything is made or changed: completed, or refused with the cure. */
import { BangerError } from "../model/errors.ts";
import { clashes, formatHostPort, type PublishedPort, validatePorts } from "../model/published-port.ts";
import type { VmSpec } from "../model/spec.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";

/** Errors: `already_exists` for a port of another VM, and those of the capabilities. */
export async function settleSpec(ctx: VmContext, wanted: VmSpec, before?: VmRecord): Promise<VmSpec> {
  demandUnclaimed(ctx, wanted.ports, before?.id);
  let spec = wanted;
  for (const capability of ctx.capabilities) {
    spec = (await capability.settle?.(spec, before?.spec)) ?? spec;
  }
  return spec;
}

/**
 * A port of this host belongs to one VM, whether or not it runs, so that a start never fails over another VM. Synchronous: what is
 * written right after it is not overtaken. Errors: `already_exists`.
 */
export function demandUnclaimed(ctx: VmContext, ports: readonly PublishedPort[] = [], id?: string): void {
  if (ports.length === 0) return;
  for (const vm of ctx.store.vms.list()) {
    if (vm.id === id) continue;
    const clash = ports.find((port) => (vm.spec.ports ?? []).some((other) => clashes(port, other)));
    if (clash !== undefined) throw claimed(clash, vm);
  }
}

/** Those that are asked for of a new VM. Errors: `invalid_argument`. */
export function wishedPorts({ ports = [] }: Pick<VmSpec, "ports">): Pick<VmSpec, "ports"> {
  return ports.length === 0 ? {} : { ports: validatePorts(ports) };
}

function claimed(port: PublishedPort, { name, state }: VmRecord): BangerError {
  const ref = port.protocol === "udp" ? `${port.hostPort}/udp` : String(port.hostPort);
  return new BangerError(
    "already_exists",
    `${formatHostPort(port)} belongs to the VM ${name}, which is ${state}`,
    {
      cure: `publish another port, or take it away from that VM with: banger set ${name} --unpublish ${ref}`,
      details: { field: "publish", vm: name },
    },
  );
}
