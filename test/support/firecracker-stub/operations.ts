/** Firecracker's API calls, as far as banger uses them: what each takes, answers, and when it is allowed. */
import type { DefinitionName } from "./definitions.ts";

export interface Operation {
  readonly method: "GET" | "PUT" | "PATCH";
  /** With at most one `{name}`, the field of the body that must say the same. */
  readonly path: string;
  readonly body?: DefinitionName;
  /** What a success says: 200 with this shape, or 204 with nothing. */
  readonly answer?: DefinitionName | "free";
  /** When the program accepts it (rpc_interface.rs: the pre-boot and the runtime controller). */
  readonly when: "always" | "before start" | "after start";
  /** A snapshot cannot be loaded after it, even when it failed (`boot_path` in rpc_interface.rs). */
  readonly boots?: true;
}

export const OPERATIONS: readonly Operation[] = [
  { method: "GET", path: "/", answer: "InstanceInfo", when: "always" },
  { method: "GET", path: "/version", answer: "FirecrackerVersion", when: "always" },
  { method: "GET", path: "/vm/config", answer: "free", when: "always" },
  { method: "GET", path: "/machine-config", answer: "MachineConfiguration", when: "always" },
  { method: "GET", path: "/balloon", answer: "Balloon", when: "always" },
  { method: "GET", path: "/balloon/statistics", answer: "BalloonStats", when: "after start" },
  { method: "PUT", path: "/actions", body: "InstanceActionInfo", when: "always" },
  { method: "PUT", path: "/balloon", body: "Balloon", when: "before start", boots: true },
  { method: "PUT", path: "/boot-source", body: "BootSource", when: "before start", boots: true },
  { method: "PUT", path: "/drives/{drive_id}", body: "Drive", when: "before start", boots: true },
  { method: "PUT", path: "/entropy", body: "EntropyDevice", when: "before start", boots: true },
  { method: "PUT", path: "/logger", body: "Logger", when: "before start" },
  {
    method: "PUT",
    path: "/machine-config",
    body: "MachineConfiguration",
    when: "before start",
    boots: true,
  },
  { method: "PUT", path: "/metrics", body: "Metrics", when: "before start" },
  {
    method: "PUT",
    path: "/network-interfaces/{iface_id}",
    body: "NetworkInterface",
    when: "before start",
    boots: true,
  },
  { method: "PUT", path: "/serial", body: "SerialDevice", when: "before start" },
  { method: "PUT", path: "/snapshot/create", body: "SnapshotCreateParams", when: "after start" },
  { method: "PUT", path: "/snapshot/load", body: "SnapshotLoadParams", when: "before start" },
  { method: "PUT", path: "/vsock", body: "Vsock", when: "before start", boots: true },
  { method: "PATCH", path: "/balloon", body: "BalloonUpdate", when: "after start" },
  { method: "PATCH", path: "/balloon/statistics", body: "BalloonStatsUpdate", when: "after start" },
  { method: "PATCH", path: "/drives/{drive_id}", body: "PartialDrive", when: "after start" },
  {
    method: "PATCH",
    path: "/network-interfaces/{iface_id}",
    body: "PartialNetworkInterface",
    when: "after start",
  },
  { method: "PATCH", path: "/vm", body: "Vm", when: "after start" },
];

export interface FoundOperation {
  readonly operation: Operation;
  /** The field that the path names, and its value there. */
  readonly id?: { readonly field: string; readonly value: string };
}

/** The operation of a request line; undefined when there is none that banger uses. */
export function findOperation(method: string, path: string): FoundOperation | undefined {
  for (const operation of OPERATIONS) {
    if (operation.method !== method) continue;
    if (operation.path === path) return { operation };
    const { folder, field } = templateOf(operation.path);
    if (field === undefined || !path.startsWith(folder)) continue;
    const value = path.slice(folder.length);
    if (!value.includes("/")) return { operation, id: { field, value } };
  }
  return undefined;
}

function templateOf(path: string): { readonly folder: string; readonly field?: string } {
  const found = /^(.*\/)\{(\w+)\}$/.exec(path);
  const [, folder, field] = found ?? [];
  return folder === undefined || field === undefined ? { folder: path } : { folder, field };
}
