/** A new VM that is to go on from a snapshot: what the snapshot says of it, and what may differ. */
import { BangerError } from "../model/errors.ts";
import { applyNetworkWish } from "../model/network-policy.ts";
import type { SnapshotRecord } from "../model/snapshot.ts";
import type { VmSpec } from "../model/spec.ts";
import type { Store } from "../store/store.ts";
import type { NewVm } from "./create.ts";
import { wishedPorts } from "./settle.ts";

/** By name or id. Errors: `not_found`. */
export function findSnapshot(store: Pick<Store, "snapshots">, ref: string): SnapshotRecord {
  const found = store.snapshots.byName(ref) ?? store.snapshots.byId(ref);
  if (found !== undefined) return found;
  throw new BangerError("not_found", `there is no snapshot ${ref}`, {
    cure: "list them with: banger snapshot ls",
  });
}

/** Errors: `invalid_argument` for what cannot be had. */
export function specFromSnapshot(snapshot: SnapshotRecord, wanted: NewVm): VmSpec {
  const { spec, kind, name } = snapshot;
  if (wanted.image !== undefined && wanted.image !== spec.image)
    throw differs(name, "image", `the image ${spec.image}`);
  if (kind === "machine") {
    if ((wanted.vcpus ?? spec.vcpus) !== spec.vcpus) throw differs(name, "vcpus", `${spec.vcpus} vCPUs`);
    if ((wanted.memoryMib ?? spec.memoryMib) !== spec.memoryMib)
      throw differs(name, "memory", `${spec.memoryMib} MiB of memory`);
    for (const field of ["kernel", "init", "vmm"] as const) {
      const has = spec[field];
      if ((wanted[field] ?? has) !== has) throw differs(name, field, `the ${field} that it was saved with`);
    }
    if ((wanted.volumes ?? []).length > 0) throw differs(name, "volume", "no volumes");
  }
  if ((wanted.diskMib ?? spec.diskMib) < spec.diskMib)
    throw differs(name, "disk", `a disk of at least ${spec.diskMib} MiB`);
  // A port of this host, and a volume, has one VM, and that is not this one.
  const { ports: _, volumes: __, ...inherited } = spec;
  const { kernel = spec.kernel, init = spec.init, vmm = spec.vmm, volumes = [] } = wanted;
  return {
    ...inherited,
    ...wishedPorts(wanted),
    ...(kernel === undefined ? {} : { kernel }),
    ...(init === undefined ? {} : { init }),
    ...(vmm === undefined ? {} : { vmm }),
    ...(volumes.length === 0 ? {} : { volumes }),
    vcpus: wanted.vcpus ?? spec.vcpus,
    memoryMib: wanted.memoryMib ?? spec.memoryMib,
    diskMib: wanted.diskMib ?? spec.diskMib,
    env: { ...spec.env, ...wanted.env },
    network: applyNetworkWish(spec.network, wanted.network ?? {}),
  };
}

function differs(snapshot: string, field: string, has: string): BangerError {
  return new BangerError("invalid_argument", `a VM from the snapshot ${snapshot} has ${has}`, {
    cure: `leave --${field} away`,
    details: { field },
  });
}
