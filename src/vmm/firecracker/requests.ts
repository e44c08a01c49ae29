/** The machine as requests to Firecracker's API: pure functions. */
import { join } from "node:path";
import type { Disk, Machine, Nic } from "../../model/machine.ts";
import type { ApiRequest } from "./api-client.ts";
import { kernelCommandLine } from "./command-line.ts";
import { apiId, type DiskSerial } from "./devices.ts";
import { insideName, type Places } from "./places.ts";
import type { Transport, VersionFeatures } from "./platform.ts";
import { ENTROPY_RATE, limiterInPlace, limiterOf, SERIAL_RATE } from "./rate-limits.ts";

/** Any will do: the host's end is a socket of this one process (VMADDR_CID_HOST + 1, vsock(7)). */
const GUEST_CID = 3;

export interface RequestInput {
  readonly places: Places;
  readonly transport: Transport;
  readonly features: VersionFeatures;
  readonly serials: readonly DiskSerial[];
}

/** Everything before `startRequest`, in any order. */
export function configurationRequests(machine: Machine, input: RequestInput): readonly ApiRequest[] {
  const { places, features } = input;
  return [
    put("/machine-config", { vcpu_count: machine.vcpus, mem_size_mib: machine.memoryMib, smt: false }),
    put("/boot-source", {
      kernel_image_path: insideName(places.stateDir, machine.kernelPath),
      initrd_path: insideName(places.stateDir, machine.initramfsPath),
      boot_args: kernelCommandLine(machine, input),
    }),
    ...machine.disks.map((disk) => driveRequest(disk, places)),
    ...machine.nics.map(nicRequest),
    put("/vsock", { guest_cid: GUEST_CID, uds_path: places.agent.inside }),
    put("/entropy", { rate_limiter: { bandwidth: ENTROPY_RATE } }),
    // Nobody inflates it yet; a guest that runs short of memory would get back what was taken.
    put("/balloon", { amount_mib: 0, deflate_on_oom: true, stats_polling_interval_s: 0 }),
    ...(features.serialRateLimit ? [put("/serial", { rate_limiter: SERIAL_RATE })] : []),
  ];
}

export const startRequest: ApiRequest = put("/actions", { action_type: "InstanceStart" });

/** Loads the snapshot in a directory of the host and lets it run, in one request. */
export function loadRequest(
  machine: Machine,
  input: { readonly places: Places; readonly features: VersionFeatures; readonly snapshotDir: string },
): ApiRequest {
  const { places, features, snapshotDir } = input;
  return put("/snapshot/load", {
    snapshot_path: insideName(places.stateDir, join(snapshotDir, "state")),
    mem_backend: {
      backend_type: "File",
      backend_path: insideName(places.stateDir, join(snapshotDir, "memory")),
    },
    resume_vm: true,
    network_overrides: machine.nics.map((nic) => ({ iface_id: apiId(nic.id), host_dev_name: nic.tap })),
    vsock_override: { uds_path: places.agent.inside },
    // Ordinary pages, so that all clones share what none of them has written in the page cache of the one file.
    ...(features.loadHugePages ? { huge_pages: "None" } : {}),
  });
}

/**
 * Gives the devices of a loaded snapshot the machine's own rates: the snapshot brought those of the machine that was saved, with
 * what was in their buckets.
 */
export function rateRequests(machine: Machine): readonly ApiRequest[] {
  return [
    ...machine.disks.map(({ id, rate }) => {
      const drive_id = apiId(id);
      return patch(`/drives/${drive_id}`, { drive_id, rate_limiter: limiterInPlace(rate) });
    }),
    ...machine.nics.map(({ id, rate }) => {
      const iface_id = apiId(id);
      const limiter = limiterInPlace(rate);
      return patch(`/network-interfaces/${iface_id}`, {
        iface_id,
        rx_rate_limiter: limiter,
        tx_rate_limiter: limiter,
      });
    }),
  ];
}

/** `snapshotDir` is the process's own name for it. */
export function snapshotRequest(snapshotDir: string): ApiRequest {
  return put("/snapshot/create", {
    snapshot_type: "Full",
    snapshot_path: `${snapshotDir}/state`,
    mem_file_path: `${snapshotDir}/memory`,
  });
}

function driveRequest(disk: Disk, places: Places): ApiRequest {
  const id = apiId(disk.id);
  return put(`/drives/${id}`, {
    drive_id: id,
    path_on_host: insideName(places.stateDir, disk.path),
    is_read_only: disk.readOnly,
    // The agent mounts the root by itself.
    is_root_device: false,
    // The guest's flush is an fsync here; by default Firecracker drops it (Firecracker's docs/api_requests/block-caching.md).
    cache_type: disk.readOnly ? "Unsafe" : "Writeback",
    ...(disk.rate === undefined ? {} : { rate_limiter: limiterOf(disk.rate) }),
  });
}

function nicRequest(nic: Nic): ApiRequest {
  const id = apiId(nic.id);
  const limiter = nic.rate === undefined ? undefined : limiterOf(nic.rate);
  return put(`/network-interfaces/${id}`, {
    iface_id: id,
    host_dev_name: nic.tap,
    guest_mac: nic.mac,
    ...(limiter === undefined ? {} : { rx_rate_limiter: limiter, tx_rate_limiter: limiter }),
  });
}

function patch(path: string, body: object): ApiRequest {
  return { method: "PATCH", path, body };
}

function put(path: string, body: object): ApiRequest {
  return { method: "PUT", path, body };
}
