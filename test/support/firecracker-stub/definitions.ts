/**
 * The shapes of Firecracker's API (facts of 1.17), as far as banger uses it. facts.test.ts compares them with
 * Firecracker's own description where that is at hand.
 */
import type { ObjectSchema, Schema } from "./schema.ts";

const text: Schema = { type: "string" };
const integer: Schema = { type: "integer" };
const flag: Schema = { type: "boolean" };

const TokenBucket = object({ size: integer, refill_time: integer }, { one_time_burst: integer });
const RateLimiter = object({}, { bandwidth: TokenBucket, ops: TokenBucket });

const BootSource = object({ kernel_image_path: text }, { boot_args: text, initrd_path: text });

const MachineConfiguration = object(
  { vcpu_count: { type: "integer", minimum: 1, maximum: 32 }, mem_size_mib: integer },
  {
    cpu_template: oneOf("C3", "T2", "T2S", "T2CL", "T2A", "V1N1", "None"),
    huge_pages: oneOf("None", "Transparent", "2M"),
    smt: flag,
    track_dirty_pages: flag,
  },
);

const Drive = object(
  { drive_id: text, is_root_device: flag },
  {
    cache_type: oneOf("Unsafe", "Writeback"),
    io_engine: oneOf("Sync", "Async"),
    is_read_only: flag,
    partuuid: text,
    path_on_host: text,
    rate_limiter: RateLimiter,
    socket: text,
  },
);
const PartialDrive = object({ drive_id: text }, { path_on_host: text, rate_limiter: RateLimiter });

const NetworkInterface = object(
  { iface_id: text, host_dev_name: text },
  {
    guest_mac: text,
    mtu: { type: "integer", minimum: 68, maximum: 65535 },
    rx_rate_limiter: RateLimiter,
    tx_rate_limiter: RateLimiter,
  },
);
const PartialNetworkInterface = object(
  { iface_id: text },
  { rx_rate_limiter: RateLimiter, tx_rate_limiter: RateLimiter },
);

const Vsock = object({ guest_cid: { type: "integer", minimum: 3 }, uds_path: text }, { vsock_id: text });
const EntropyDevice = object({}, { rate_limiter: RateLimiter });
const SerialDevice = object({}, { serial_out_path: text, rate_limiter: TokenBucket });

const Balloon = object(
  { amount_mib: integer, deflate_on_oom: flag },
  { stats_polling_interval_s: integer, free_page_hinting: flag, free_page_reporting: flag },
);
const BalloonUpdate = object({ amount_mib: integer });
const BalloonStatsUpdate = object({ stats_polling_interval_s: integer });
const BalloonStats = object(
  { target_pages: integer, actual_pages: integer, target_mib: integer, actual_mib: integer },
  {
    swap_in: integer,
    swap_out: integer,
    major_faults: integer,
    minor_faults: integer,
    free_memory: integer,
    total_memory: integer,
    available_memory: integer,
    disk_caches: integer,
    hugetlb_allocations: integer,
    hugetlb_failures: integer,
    oom_kill: integer,
    alloc_stall: integer,
    async_scan: integer,
    direct_scan: integer,
    async_reclaim: integer,
    direct_reclaim: integer,
  },
);

const Logger = object(
  {},
  {
    level: oneOf("Error", "Warning", "Info", "Debug", "Trace", "Off"),
    log_path: text,
    module: text,
    show_level: flag,
    show_log_origin: flag,
  },
);
const Metrics = object(
  { metrics_path: text },
  { emit_id: flag, properties: { ...object({}), others: text } },
);

const InstanceActionInfo = object({ action_type: oneOf("FlushMetrics", "InstanceStart", "SendCtrlAltDel") });
const Vm = object({ state: oneOf("Paused", "Resumed") });

const SnapshotCreateParams = object(
  { mem_file_path: text, snapshot_path: text },
  { snapshot_type: oneOf("Full", "Diff") },
);
const MemoryBackend = object({ backend_type: oneOf("File", "Uffd"), backend_path: text });
const NetworkOverride = object({ iface_id: text, host_dev_name: text });
const VsockOverride = object({ uds_path: text });
const SnapshotLoadParams = object(
  { snapshot_path: text },
  {
    clock_realtime: flag,
    enable_diff_snapshots: flag,
    huge_pages: oneOf("Snapshot", "None", "Transparent", "2M"),
    mem_backend: MemoryBackend,
    mem_file_path: text,
    network_overrides: { type: "array", items: NetworkOverride },
    resume_vm: flag,
    track_dirty_pages: flag,
    vsock_override: VsockOverride,
  },
);

const InstanceInfo = object({
  app_name: text,
  id: text,
  state: oneOf("Not started", "Running", "Paused"),
  vmm_version: text,
});
const FirecrackerVersion = object({ firecracker_version: text });
// Named "Error" in the description.
const Fault = object({}, { fault_message: text });

export type DefinitionName =
  | "Balloon"
  | "BalloonStats"
  | "BalloonStatsUpdate"
  | "BalloonUpdate"
  | "BootSource"
  | "Drive"
  | "EntropyDevice"
  | "Error"
  | "FirecrackerVersion"
  | "InstanceActionInfo"
  | "InstanceInfo"
  | "Logger"
  | "MachineConfiguration"
  | "MemoryBackend"
  | "Metrics"
  | "NetworkInterface"
  | "NetworkOverride"
  | "PartialDrive"
  | "PartialNetworkInterface"
  | "RateLimiter"
  | "SerialDevice"
  | "SnapshotCreateParams"
  | "SnapshotLoadParams"
  | "TokenBucket"
  | "Vm"
  | "Vsock"
  | "VsockOverride";

/** By the names of the description; `FullVmConfiguration` is left out, because it holds devices that banger never uses. */
export const DEFINITIONS: Readonly<Record<DefinitionName, ObjectSchema>> = {
  Balloon,
  BalloonStats,
  BalloonStatsUpdate,
  BalloonUpdate,
  BootSource,
  Drive,
  EntropyDevice,
  Error: Fault,
  FirecrackerVersion,
  InstanceActionInfo,
  InstanceInfo,
  Logger,
  MachineConfiguration,
  MemoryBackend,
  Metrics,
  NetworkInterface,
  NetworkOverride,
  PartialDrive,
  PartialNetworkInterface,
  RateLimiter,
  SerialDevice,
  SnapshotCreateParams,
  SnapshotLoadParams,
  TokenBucket,
  Vm,
  Vsock,
  VsockOverride,
};

function oneOf(...values: readonly string[]): Schema {
  return { type: "string", enum: values };
}

function object(
  required: Readonly<Record<string, Schema>>,
  optional: Readonly<Record<string, Schema>> = {},
): ObjectSchema {
  return { type: "object", required: Object.keys(required), properties: { ...required, ...optional } };
}
