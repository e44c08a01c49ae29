/** Method and path of every operation, by its id. The route table adds schemas; the client needs only this. */

export type Method = "GET" | "POST" | "PATCH" | "DELETE";

/** `json` answers once, `progress` answers NDJSON, `socket` becomes a WebSocket, `text` answers plain text, `bytes` a stream. */
export type RouteKind = "json" | "progress" | "socket" | "text" | "bytes";

export interface Path {
  readonly method: Method;
  /** `{x}` stands for one percent-encoded segment. */
  readonly path: string;
  readonly kind: RouteKind;
}

const TABLE = {
  "daemon.status": { method: "GET", path: "/v1/daemon", kind: "json" },
  "daemon.stop": { method: "POST", path: "/v1/daemon/stop", kind: "json" },
  openapi: { method: "GET", path: "/v1/openapi.json", kind: "json" },
  metrics: { method: "GET", path: "/metrics", kind: "text" },
  doctor: { method: "GET", path: "/v1/doctor", kind: "json" },
  config: { method: "GET", path: "/v1/config", kind: "json" },
  "vm.list": { method: "GET", path: "/v1/vms", kind: "json" },
  "vm.create": { method: "POST", path: "/v1/vms", kind: "progress" },
  "vm.show": { method: "GET", path: "/v1/vms/{vm}", kind: "json" },
  "vm.start": { method: "POST", path: "/v1/vms/{vm}/start", kind: "progress" },
  "vm.stop": { method: "POST", path: "/v1/vms/{vm}/stop", kind: "progress" },
  "vm.restart": { method: "POST", path: "/v1/vms/{vm}/restart", kind: "progress" },
  "vm.kill": { method: "POST", path: "/v1/vms/{vm}/kill", kind: "progress" },
  "vm.pause": { method: "POST", path: "/v1/vms/{vm}/pause", kind: "json" },
  "vm.resume": { method: "POST", path: "/v1/vms/{vm}/resume", kind: "json" },
  "vm.set": { method: "PATCH", path: "/v1/vms/{vm}", kind: "json" },
  "vm.wait": { method: "POST", path: "/v1/vms/{vm}/wait", kind: "progress" },
  "vm.ports": { method: "GET", path: "/v1/vms/{vm}/ports", kind: "json" },
  "vm.execs": { method: "GET", path: "/v1/vms/{vm}/execs", kind: "json" },
  "vm.execDetached": { method: "POST", path: "/v1/vms/{vm}/execs", kind: "json" },
  "vm.follow": { method: "GET", path: "/v1/vms/{vm}/logs/follow", kind: "socket" },
  stats: { method: "GET", path: "/v1/stats", kind: "json" },
  events: { method: "GET", path: "/v1/events", kind: "socket" },
  "vm.remove": { method: "DELETE", path: "/v1/vms/{vm}", kind: "json" },
  "vm.logs": { method: "GET", path: "/v1/vms/{vm}/logs", kind: "text" },
  "vm.exec": { method: "GET", path: "/v1/vms/{vm}/exec", kind: "socket" },
  "vm.stream": { method: "GET", path: "/v1/vms/{vm}/stream", kind: "socket" },
  run: { method: "GET", path: "/v1/run", kind: "socket" },
  "network.show": { method: "GET", path: "/v1/network", kind: "json" },
  "network.down": { method: "POST", path: "/v1/network/down", kind: "json" },
  "network.check": { method: "POST", path: "/v1/vms/{vm}/network/check", kind: "json" },
  "image.list": { method: "GET", path: "/v1/images", kind: "json" },
  "image.pull": { method: "POST", path: "/v1/images/pull", kind: "progress" },
  "image.import": { method: "POST", path: "/v1/images/import", kind: "progress" },
  "image.export": { method: "GET", path: "/v1/images/{image}/export", kind: "bytes" },
  "image.remove": { method: "DELETE", path: "/v1/images/{image}", kind: "json" },
  "image.show": { method: "GET", path: "/v1/images/{image}", kind: "json" },
  "image.tag": { method: "POST", path: "/v1/images/{image}/tag", kind: "json" },
  "image.prune": { method: "POST", path: "/v1/images/prune", kind: "json" },
  "image.verify": { method: "POST", path: "/v1/images/verify", kind: "progress" },
  "image.commit": { method: "POST", path: "/v1/images/commit", kind: "progress" },
  catalog: { method: "GET", path: "/v1/catalog", kind: "json" },
  "kernel.list": { method: "GET", path: "/v1/kernels", kind: "json" },
  "kernel.show": { method: "GET", path: "/v1/kernels/{kernel}", kind: "json" },
  "kernel.pull": { method: "POST", path: "/v1/kernels/pull", kind: "progress" },
  "kernel.import": { method: "POST", path: "/v1/kernels/import", kind: "progress" },
  "kernel.remove": { method: "DELETE", path: "/v1/kernels/{kernel}", kind: "json" },
  "volume.list": { method: "GET", path: "/v1/volumes", kind: "json" },
  "volume.create": { method: "POST", path: "/v1/volumes", kind: "json" },
  "volume.show": { method: "GET", path: "/v1/volumes/{volume}", kind: "json" },
  "volume.set": { method: "PATCH", path: "/v1/volumes/{volume}", kind: "json" },
  "volume.remove": { method: "DELETE", path: "/v1/volumes/{volume}", kind: "json" },
  "ssh.keys": { method: "POST", path: "/v1/ssh-keys", kind: "json" },
  "vm.sshDoor": { method: "POST", path: "/v1/vms/{vm}/ssh-door", kind: "json" },
  "vm.fork": { method: "POST", path: "/v1/vms/{vm}/fork", kind: "progress" },
  "vm.restore": { method: "POST", path: "/v1/vms/{vm}/restore", kind: "progress" },
  "snapshot.create": { method: "POST", path: "/v1/vms/{vm}/snapshots", kind: "progress" },
  "snapshot.list": { method: "GET", path: "/v1/snapshots", kind: "json" },
  "snapshot.show": { method: "GET", path: "/v1/snapshots/{snapshot}", kind: "json" },
  "snapshot.remove": { method: "DELETE", path: "/v1/snapshots/{snapshot}", kind: "json" },
  "workspace.preview": { method: "POST", path: "/v1/workspaces/preview", kind: "json" },
  "workspace.bootstrap": { method: "POST", path: "/v1/workspaces/bootstrap", kind: "json" },
  "workspace.import": { method: "POST", path: "/v1/vms/{vm}/workspace", kind: "progress" },
  "workspace.show": { method: "GET", path: "/v1/vms/{vm}/workspace", kind: "json" },
  "workspace.pull": { method: "POST", path: "/v1/vms/{vm}/workspace/pull", kind: "progress" },
  "workspace.sync": { method: "POST", path: "/v1/vms/{vm}/workspace/sync", kind: "progress" },
  "workspace.export": { method: "GET", path: "/v1/vms/{vm}/workspace/patch", kind: "bytes" },
  "template.list": { method: "GET", path: "/v1/templates", kind: "json" },
  "template.remove": { method: "DELETE", path: "/v1/templates/{template}", kind: "json" },
  "template.prune": { method: "POST", path: "/v1/templates/prune", kind: "json" },
} as const;

/** The noun and what is done with it. */
export type OperationId = keyof typeof TABLE;

export const PATHS: Readonly<Record<OperationId, Path>> = TABLE;

/** Bodies above this are refused with `resource_exhausted`. */
export const MAX_BODY_BYTES: number = 4 * 1024 * 1024;

/** The header that carries the id of an operation, on every answer and every log line about it. */
export const OPERATION_HEADER = "banger-operation";

/** The path with its `{x}` filled in, encoded. */
export function fillPath(id: OperationId, values: Readonly<Record<string, string>> = {}): string {
  return PATHS[id].path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(values[name] ?? ""));
}
