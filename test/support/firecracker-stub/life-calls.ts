/** Calls from the description of a machine to its start, its snapshot and its clone. */
import { bad, type Call, good, MACHINE, theWorld } from "./calls.ts";

const AFTER_START = /not supported after starting the microVM/;
const START: Call = {
  method: "PUT",
  path: "/actions",
  body: { action_type: "InstanceStart" },
  status: 204,
};

/** The whole life, from the start on. It needs a KVM that makes machines; what the guest does is nobody's business. */
export function life(dir: string): Call[] {
  const snapshot = { snapshot_path: `${dir}/state`, mem_file_path: `${dir}/memory` };
  const drive = { drive_id: "a", is_root_device: false, path_on_host: `${dir}/disk` };
  return [
    ...toStart(dir),
    { method: "GET", path: "/", status: 200 },
    bad("PUT", "/actions", { body: START.body, says: AFTER_START }),
    bad("PUT", "/machine-config", { body: MACHINE, says: AFTER_START }),
    bad("PUT", "/boot-source", { body: { kernel_image_path: `${dir}/kernel` }, says: AFTER_START }),
    bad("PUT", "/vsock", { body: { guest_cid: 3, uds_path: `${dir}/other` }, says: AFTER_START }),
    bad("PUT", "/balloon", { body: { amount_mib: 0, deflate_on_oom: true }, says: AFTER_START }),
    bad("PUT", "/entropy", { body: {}, says: AFTER_START }),
    bad("PUT", "/serial", { body: {}, says: AFTER_START }),
    bad("PUT", "/logger", { body: {}, says: AFTER_START }),
    bad("PUT", "/metrics", { body: { metrics_path: `${dir}/metrics` }, says: AFTER_START }),
    bad("PUT", "/drives/b", { body: { ...drive, drive_id: "b" }, says: /^PCI is not enabled$/ }),
    bad("PUT", "/network-interfaces/b", {
      body: { iface_id: "b", host_dev_name: "none" },
      says: /^PCI is not enabled$/,
    }),
    bad("PUT", "/snapshot/load", {
      body: { snapshot_path: "s", mem_backend: { backend_type: "File", backend_path: "m" } },
      says: AFTER_START,
    }),
    bad("PUT", "/snapshot/create", { body: snapshot, says: /save\/restore unavailable while running/ }),
    good("PATCH", "/drives/a", { drive_id: "a", path_on_host: `${dir}/disk` }),
    bad("PATCH", "/drives/a", { body: { drive_id: "a" }, says: /Unable to patch the block device/ }),
    bad("PATCH", "/drives/z", {
      body: { drive_id: "z", path_on_host: `${dir}/disk` },
      says: /Device not found/,
    }),
    bad("PATCH", "/network-interfaces/z", { body: { iface_id: "z" }, says: /Device not found/ }),
    { method: "GET", path: "/balloon/statistics", status: 200 },
    good("PATCH", "/balloon/statistics", { stats_polling_interval_s: 2 }),
    good("PATCH", "/vm", { state: "Paused" }),
    good("PATCH", "/vm", { state: "Paused" }),
    { method: "GET", path: "/", status: 200 },
    good("PUT", "/snapshot/create", snapshot),
    {
      ...bad("PUT", "/snapshot/create", { body: { ...snapshot, snapshot_path: `${dir}/no/state` } }),
      ...theWorld(/^Create snapshot error: Cannot perform open on the snapshot backing file: No such file/),
    },
    good("PATCH", "/vm", { state: "Resumed" }),
    good("PATCH", "/vm", { state: "Resumed" }),
    good("PUT", "/actions", { action_type: "FlushMetrics" }),
    { method: "GET", path: "/vm/config", status: 200 },
    good("PATCH", "/vm", { state: "Paused" }),
  ];
}

/** A machine with every device that banger gives one but a network card, up to and with its start. */
export function toStart(dir: string): Call[] {
  return [
    good("PUT", "/machine-config", MACHINE),
    good("PUT", "/boot-source", {
      kernel_image_path: `${dir}/kernel`,
      initrd_path: `${dir}/initrd`,
      boot_args: "console=ttyS0",
    }),
    good("PUT", "/drives/a", { drive_id: "a", is_root_device: false, path_on_host: `${dir}/disk` }),
    good("PUT", "/vsock", { guest_cid: 3, uds_path: `${dir}/vsock` }),
    good("PUT", "/entropy", {}),
    good("PUT", "/balloon", { amount_mib: 0, deflate_on_oom: true, stats_polling_interval_s: 1 }),
    good("PUT", "/serial", { serial_out_path: `${dir}/serial` }),
    good("PUT", "/logger", { log_path: `${dir}/log` }),
    START,
  ];
}

/** Restores what `life` left in `dir`: one request, and the machine runs with another vsock socket. */
export function restoring(dir: string): Call[] {
  return [
    good("PUT", "/snapshot/load", {
      snapshot_path: `${dir}/state`,
      mem_backend: { backend_type: "File", backend_path: `${dir}/memory` },
      vsock_override: { uds_path: `${dir}/vsock-of-clone` },
      resume_vm: true,
    }),
    { method: "GET", path: "/", status: 200 },
    good("PATCH", "/vm", { state: "Paused" }),
  ];
}
