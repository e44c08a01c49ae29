/** Snapshots of the simulated microVM: its description in the state file, a sparse file for its memory. */
import { closeSync, ftruncateSync, openSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { checkDriveFile, listenForVsock } from "./configure.ts";
import type { Machine } from "./machine.ts";
import { type Body, textOf } from "./machine-config.ts";
import { osWords, Refusal, violation } from "./refusal.ts";
import { isObject } from "./schema.ts";

const MIB = 1024 * 1024;
const MAGIC = "a stub's snapshot";
const LOAD_FAULT = "Load snapshot error: Failed to restore from snapshot: ";
const DEVICE_FAULT =
  "Failed to build microVM from snapshot: Failed to restore devices: Error restoring MMIO devices: ";

/** Throws a Refusal. Existing files are written over. */
export function createSnapshot(machine: Machine, body: Body): void {
  const { config } = machine;
  const saved = {
    magic: MAGIC,
    machine: config.machine,
    drives: [...config.drives.values()],
    nics: [...config.nics.values()],
    vsock: config.vsock ?? null,
    balloon: config.balloon ?? null,
    entropy: config.entropy ?? null,
  };
  attempt(
    () => writeFileSync(hostPath(machine, body, "snapshot_path"), JSON.stringify(saved)),
    (words) => `Create snapshot error: Cannot perform open on the snapshot backing file: ${words}`,
  );
  attempt(
    () => writeSparse(hostPath(machine, body, "mem_file_path"), Number(config.machine["mem_size_mib"]) * MIB),
    (words) => `Create snapshot error: Cannot perform open on the memory backing file: ${words}`,
  );
}

/** Fills the machine's description. Returns whether a field was used that will go away. Throws a fatal Refusal. */
export async function loadSnapshot(machine: Machine, body: Body): Promise<boolean> {
  const memoryPath = memoryPathOf(body);
  const saved = readSaved(machine, body);
  const { config } = machine;
  config.machine = objectOf(saved["machine"]);
  fill(config.drives, saved["drives"], "drive_id");
  fill(config.nics, saved["nics"], "iface_id");
  if (isObject(saved["balloon"])) config.balloon = saved["balloon"];
  if (isObject(saved["entropy"])) config.entropy = saved["entropy"];
  overrideNics(machine, body["network_overrides"]);
  checkMemory(machine, memoryPath);
  for (const drive of config.drives.values()) fatally(() => checkDriveFile(machine, drive));
  await restoreVsock(machine, { saved: saved["vsock"], override: body["vsock_override"] });
  return body["mem_file_path"] !== undefined || body["enable_diff_snapshots"] === true;
}

function memoryPathOf(body: Body): string {
  const backend = body["mem_backend"];
  const old = textOf(body, "mem_file_path");
  if (backend !== undefined && old !== undefined)
    throw violation(
      "An error occurred when deserializing the json body of a request: too many fields: either `mem_backend` or `mem_file_path` exclusively is required.",
    );
  if (backend === undefined && old === undefined)
    throw violation(
      "An error occurred when deserializing the json body of a request: missing field: either `mem_backend` or `mem_file_path` is required.",
    );
  if (old !== undefined) return old;
  const { backend_type: type, backend_path: path } = objectOf(backend);
  if (type !== "File") throw violation(`this stub does not serve memory by ${String(type)}`);
  return String(path);
}

function readSaved(machine: Machine, body: Body): Body {
  const text = attempt(
    () => readFileSync(hostPath(machine, body, "snapshot_path"), "utf8"),
    (words) => `${LOAD_FAULT}Failed to get snapshot state from file: Failed to open snapshot file: ${words}`,
    true,
  );
  try {
    const saved: unknown = JSON.parse(text);
    if (isObject(saved) && saved["magic"] === MAGIC) return saved;
  } catch {
    // Not even JSON: refused in the same words.
  }
  throw new Refusal(
    `${LOAD_FAULT}Failed to get snapshot state from file: Failed to load snapshot state from file: An error occurred during bitcode serialization: bitcode error`,
    { fatal: true },
  );
}

function overrideNics(machine: Machine, overrides: unknown): void {
  for (const override of Array.isArray(overrides) ? overrides : []) {
    const { iface_id: id, host_dev_name: device } = objectOf(override);
    const nic = machine.config.nics.get(String(id));
    if (nic === undefined)
      throw new Refusal(`${LOAD_FAULT}Failed to get snapshot state from file: Unknown Network Device.`, {
        fatal: true,
        violation: true,
      });
    machine.config.nics.set(String(id), { ...nic, host_dev_name: device });
  }
}

function checkMemory(machine: Machine, path: string): void {
  const size = attempt(
    () => statSync(machine.input.toHost(path)).size,
    (words) =>
      `${LOAD_FAULT}Failed to load guest memory: Error creating guest memory from file: Failed to load guest memory: ${words}`,
    true,
  );
  if (size !== Number(machine.config.machine["mem_size_mib"]) * MIB)
    throw new Refusal(
      `${LOAD_FAULT}Failed to load guest memory: Error creating guest memory from file: Failed to restore guest memory: Total sum of memory regions exceeds largest possible file offset`,
      { fatal: true },
    );
}

async function restoreVsock(
  machine: Machine,
  vsock: { readonly saved: unknown; readonly override: unknown },
): Promise<void> {
  if (isObject(vsock.saved)) {
    const body = { ...vsock.saved, ...(isObject(vsock.override) ? vsock.override : {}) };
    try {
      await listenForVsock(machine, body);
    } catch (error) {
      throw fatal(error);
    }
  } else if (vsock.override !== undefined)
    throw new Refusal(`${LOAD_FAULT}Failed to get snapshot state from file: Unknown Vsock Device.`, {
      fatal: true,
      violation: true,
    });
}

function fill(devices: Map<string, Body>, saved: unknown, field: string): void {
  for (const one of Array.isArray(saved) ? saved : []) {
    const device = objectOf(one);
    devices.set(textOf(device, field) ?? "", device);
  }
}

function objectOf(value: unknown): Body {
  if (!isObject(value)) throw new Error("the stub's own snapshot is not in order");
  return value;
}

function fatally(action: () => void): void {
  try {
    action();
  } catch (error) {
    throw fatal(error);
  }
}

function fatal(error: unknown): unknown {
  if (!(error instanceof Refusal)) return error;
  const cause = error.message
    .replace("Drive config error: Unable to create the virtio block device: ", "Block: ")
    .replace("Vsock config error: Cannot create backend for vsock device: ", "VsockUnixBackend: ");
  return new Refusal(`${LOAD_FAULT}${DEVICE_FAULT}${cause}`, { fatal: true, violation: error.violation });
}

function attempt<T>(action: () => T, fault: (words: string) => string, isFatal = false): T {
  try {
    return action();
  } catch (error) {
    throw new Refusal(fault(osWords(error)), { fatal: isFatal });
  }
}

function writeSparse(path: string, bytes: number): void {
  const fd = openSync(path, "w");
  try {
    ftruncateSync(fd, bytes);
  } finally {
    closeSync(fd);
  }
}

function hostPath(machine: Machine, body: Body, field: string): string {
  return machine.input.toHost(textOf(body, field) ?? "");
}
