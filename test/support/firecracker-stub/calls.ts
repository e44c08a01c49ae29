/** Calls and their answers that stub and real program must have in common, each list for a process of its own. */

export interface Call {
  readonly method: "GET" | "PUT" | "PATCH";
  readonly path: string;
  /** A string is sent as it is. */
  readonly body?: unknown;
  readonly status: 200 | 204 | 400;
  /** What the `fault_message` holds. */
  readonly says?: RegExp;
  /** The caller is at fault, so the stub writes a violation down. */
  readonly rule?: true | undefined;
  /** Refused by the description and so by the stub; the real program does as this says. */
  readonly realStatus?: number;
}

export interface CallList {
  readonly title: string;
  /** `dir` holds the files `kernel`, `initrd`, `disk`. */
  readonly calls: (dir: string) => readonly Call[];
}

export const MACHINE = { vcpu_count: 1, mem_size_mib: 64 };
const JSON_FAULT = /^An error occurred when deserializing the json body of a request: /;
const BEFORE_START = /not supported before starting the microVM/;

export const CALL_LISTS: readonly CallList[] = [
  { title: "questions", calls: questions },
  { title: "the machine's shape", calls: shapes },
  { title: "boot source", calls: bootSource },
  { title: "drives", calls: drives },
  { title: "network interfaces", calls: nics },
  { title: "vsock", calls: vsock },
  { title: "balloon, entropy and outputs", calls: others },
  { title: "what needs a started machine", calls: early },
  { title: "loading a snapshot too late", calls: late },
  { title: "loading a snapshot that is not there", calls: missingSnapshot },
];

function questions(): Call[] {
  return [
    { method: "GET", path: "/", status: 200 },
    { method: "GET", path: "/version", status: 200 },
    { method: "GET", path: "/machine-config", status: 200 },
    { method: "GET", path: "/vm/config", status: 200 },
    bad("GET", "/nope", { says: /Invalid request method and\/or path: GET nope\./ }),
    bad("PUT", "/nope", { body: {}, says: /Invalid request method and\/or path: PUT nope\./ }),
    bad("PUT", "/actions", { says: /Empty PUT request/ }),
    bad("PATCH", "/vm", { says: /Empty PATCH request/ }),
    bad("PUT", "/actions", { body: "{", says: JSON_FAULT }),
    bad("PUT", "/actions", { body: "[1]", says: JSON_FAULT }),
    bad("PUT", "/actions", { body: { action_type: "Fly" }, says: /unknown variant `Fly`/ }),
    bad("PUT", "/actions", { body: { action_type: "InstanceStart", x: 1 }, says: /unknown field `x`/ }),
    bad("PUT", "/actions", { body: { action_type: "InstanceStart" }, says: /without kernel configuration/ }),
  ];
}

function shapes(): Call[] {
  const wrong = (body: unknown, says: RegExp): Call => bad("PUT", "/machine-config", { body, says });
  return [
    wrong({ vcpu_count: 1 }, /missing field `mem_size_mib`/),
    wrong({ vcpu_count: "1", mem_size_mib: 64 }, /invalid type: .*"1"/),
    wrong({ vcpu_count: 1, mem_size_mib: 1.5 }, /invalid type: .*1\.5/),
    wrong({ vcpu_count: 300, mem_size_mib: 64 }, /invalid value: integer `300`/),
    wrong({ vcpu_count: 33, mem_size_mib: 64 }, /./),
    wrong({ vcpu_count: 0, mem_size_mib: 64 }, /./),
    wrong({ vcpu_count: 1, mem_size_mib: 0 }, /memory size \(MiB\) is either 0/),
    wrong({ vcpu_count: 1, mem_size_mib: -1 }, JSON_FAULT),
    wrong({ vcpu_count: 1, mem_size_mib: 65, huge_pages: "2M" }, /memory size \(MiB\) is either 0/),
    wrong({ ...MACHINE, ht: true }, /unknown field `ht`/),
    wrong({ ...MACHINE, huge_pages: "1G" }, /unknown variant `1G`/),
    good("PUT", "/machine-config", MACHINE),
    good("PUT", "/machine-config", { ...MACHINE, smt: false, track_dirty_pages: true, huge_pages: "None" }),
  ];
}

function bootSource(dir: string): Call[] {
  const kernel = { kernel_image_path: `${dir}/kernel` };
  return [
    bad("PUT", "/boot-source", { body: {}, says: /missing field `kernel_image_path`/ }),
    {
      ...bad("PUT", "/boot-source", { body: { kernel_image_path: `${dir}/nowhere` } }),
      ...theWorld(/^Boot source error: The kernel file cannot be opened: No such file or directory/),
    },
    {
      ...bad("PUT", "/boot-source", { body: { ...kernel, initrd_path: `${dir}/nowhere` } }),
      ...theWorld(/^Boot source error: The initrd file cannot be opened .* No such file or directory/),
    },
    bad("PUT", "/boot-source", {
      body: { ...kernel, boot_args: "x".repeat(3000) },
      says: /command line is invalid/,
    }),
    good("PUT", "/boot-source", { ...kernel, initrd_path: `${dir}/initrd`, boot_args: "quiet" }),
  ];
}

function drives(dir: string): Call[] {
  const disk = { path_on_host: `${dir}/disk`, is_read_only: false };
  const drive = (id: string, more: object = {}): object => ({
    drive_id: id,
    is_root_device: false,
    ...disk,
    ...more,
  });
  return [
    bad("PUT", "/drives/a-b", { body: drive("a-b"), says: /alphanumeric characters and underscores/ }),
    bad("PUT", "/drives/a", { body: drive("b"), says: /does not match the id from the body/ }),
    bad("PUT", "/drives/a", { body: { drive_id: "a" }, says: /missing field `is_root_device`/ }),
    bad("PUT", "/drives/a", { body: { drive_id: "a", is_root_device: false }, says: /Invalid block config/ }),
    bad("PUT", "/drives/a", { body: drive("a", { cache_type: "Sometimes" }), says: /unknown variant/ }),
    {
      ...bad("PUT", "/drives/a", { body: drive("a", { path_on_host: `${dir}/nowhere` }) }),
      ...theWorld(/^Drive config error: .*No such file or directory.*nowhere/),
    },
    good("PUT", "/drives/a", drive("a", { io_engine: "Sync", cache_type: "Writeback" })),
    good("PUT", "/drives/a", drive("a", { is_read_only: true })),
    good("PUT", "/drives/root", drive("root", { is_root_device: true })),
    bad("PUT", "/drives/r2", { body: drive("r2", { is_root_device: true }), says: /already exists/ }),
    good("PUT", "/drives/slow", drive("slow", { rate_limiter: { ops: { size: 10, refill_time: 100 } } })),
    bad("PUT", "/drives/b", {
      body: drive("b", { rate_limiter: { ops: { size: 10 } } }),
      says: /missing field `refill_time`/,
    }),
  ];
}

function nics(): Call[] {
  const nic = { iface_id: "eth0", host_dev_name: "tap0" };
  const wrong = (body: unknown, says: RegExp): Call => bad("PUT", "/network-interfaces/eth0", { body, says });
  return [
    wrong({ iface_id: "eth0" }, /missing field `host_dev_name`/),
    wrong({ ...nic, guest_mac: "nonsense" }, /MAC address is invalid/),
    wrong({ ...nic, mtu: 70000 }, JSON_FAULT),
    wrong({ ...nic, iface_id: "eth1" }, /does not match the id from the body/),
  ];
}

function vsock(dir: string): Call[] {
  const device = { guest_cid: 3, uds_path: `${dir}/vsock` };
  return [
    bad("PUT", "/vsock", { body: { guest_cid: 3 }, says: /missing field `uds_path`/ }),
    {
      ...bad("PUT", "/vsock", { body: { ...device, uds_path: `${dir}/disk` } }),
      ...theWorld(/^Vsock config error: .*Address already in use/),
    },
    {
      ...bad("PUT", "/vsock", { body: { ...device, uds_path: `${dir}/${"v".repeat(110)}` } }),
      ...theWorld(/path must be shorter than SUN_LEN/),
    },
    // The description says 3 or more; the program takes whatever it is given.
    { ...bad("PUT", "/vsock", { body: { ...device, guest_cid: 2 } }), realStatus: 204 },
    good("PUT", "/vsock", device),
    good("PUT", "/vsock", { ...device, uds_path: `${dir}/vsock2` }),
  ];
}

function others(dir: string): Call[] {
  return [
    bad("GET", "/balloon", { says: /No balloon device found/ }),
    bad("PUT", "/balloon", { body: { amount_mib: 0 }, says: /missing field `deflate_on_oom`/ }),
    good("PUT", "/balloon", { amount_mib: 0, deflate_on_oom: true }),
    { method: "GET", path: "/balloon", status: 200 },
    bad("PUT", "/balloon", {
      body: { amount_mib: 1_000_000, deflate_on_oom: true },
      says: /Amount of pages requested is too large/,
    }),
    good("PUT", "/entropy", {}),
    good("PUT", "/serial", { serial_out_path: `${dir}/serial` }),
    good("PUT", "/logger", { log_path: `${dir}/log`, level: "Info" }),
    bad("PUT", "/logger", { body: { level: "Loud" }, says: JSON_FAULT }),
    bad("PUT", "/metrics", { body: {}, says: /missing field `metrics_path`/ }),
    good("PUT", "/metrics", { metrics_path: `${dir}/metrics` }),
    bad("PUT", "/metrics", { body: { metrics_path: `${dir}/metrics` }, says: /Reinitialization/ }),
    { method: "GET", path: "/vm/config", status: 200 },
  ];
}

function early(dir: string): Call[] {
  return [
    bad("PATCH", "/vm", { body: { state: "Paused" }, says: BEFORE_START }),
    bad("PATCH", "/vm", { body: { state: "Running" }, says: /unknown variant `Running`/ }),
    bad("PATCH", "/drives/a", { body: { drive_id: "a" }, says: BEFORE_START }),
    bad("PATCH", "/network-interfaces/a", { body: { iface_id: "a" }, says: BEFORE_START }),
    bad("PATCH", "/balloon", { body: { amount_mib: 1 }, says: BEFORE_START }),
    bad("GET", "/balloon/statistics", { says: BEFORE_START }),
    bad("PUT", "/actions", { body: { action_type: "FlushMetrics" }, says: BEFORE_START }),
    bad("PUT", "/actions", { body: { action_type: "SendCtrlAltDel" }, says: BEFORE_START }),
    bad("PUT", "/snapshot/create", {
      body: { snapshot_path: `${dir}/state`, mem_file_path: `${dir}/memory` },
      says: BEFORE_START,
    }),
  ];
}

function late(dir: string): Call[] {
  const backend = { backend_type: "File", backend_path: `${dir}/memory` };
  const load = { snapshot_path: `${dir}/state`, mem_backend: backend };
  return [
    bad("PUT", "/snapshot/load", {
      body: { snapshot_path: `${dir}/state` },
      says: /missing field: either `mem_backend`/,
    }),
    bad("PUT", "/snapshot/load", { body: { ...load, mem_file_path: "x" }, says: /too many fields/ }),
    bad("PUT", "/snapshot/load", {
      body: { ...load, mem_backend: { backend_type: "Ram" } },
      says: /unknown variant/,
    }),
    good("PUT", "/machine-config", MACHINE),
    bad("PUT", "/snapshot/load", {
      body: load,
      says: /not allowed after configuring boot-specific resources/,
    }),
  ];
}

function missingSnapshot(dir: string): Call[] {
  const backend = { backend_type: "File", backend_path: `${dir}/memory` };
  return [
    good("PUT", "/logger", { log_path: `${dir}/log` }),
    {
      ...bad("PUT", "/snapshot/load", { body: { snapshot_path: `${dir}/nowhere`, mem_backend: backend } }),
      ...theWorld(/^Load snapshot error: Failed to restore from snapshot: .*No such file or directory/),
    },
  ];
}

export function good(method: "PUT" | "PATCH", path: string, body: unknown): Call {
  return { method, path, body, status: 204 };
}

/** A call that breaks a rule. */
export function bad(
  method: Call["method"],
  path: string,
  { body, says }: { readonly body?: unknown; readonly says?: RegExp } = {},
): Call {
  return { method, path, body, status: 400, rule: true, ...(says === undefined ? {} : { says }) };
}

/** A refusal for which the caller cannot be blamed. */
export function theWorld(says: RegExp): Pick<Call, "rule" | "says"> {
  return { says, rule: undefined };
}
