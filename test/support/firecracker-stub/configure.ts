/** The calls that describe the machine before its start, and the few that change a device afterwards. */
import { accessSync, constants } from "node:fs";
import type { CheckedRequest } from "./check.ts";
import type { Machine } from "./machine.ts";
import { type Body, DEFAULT_MACHINE, textOf } from "./machine-config.ts";
import { osWords, Refusal, violation } from "./refusal.ts";

/** The kernel's own limit for x86 (COMMAND_LINE_SIZE). */
const MAX_CMDLINE_BYTES = 2048;

/** Throws a Refusal. */
export async function configure(machine: Machine, request: CheckedRequest): Promise<void> {
  const { operation, body } = request;
  const { config } = machine;
  switch (`${operation.method} ${operation.path}`) {
    case "PUT /boot-source":
      checkBootSource(machine, body);
      config.bootSource = body;
      return;
    case "PUT /machine-config":
      checkMachine(body);
      config.machine = { ...DEFAULT_MACHINE, ...body };
      return;
    case "PUT /drives/{drive_id}":
      addDrive(machine, body);
      return;
    case "PATCH /drives/{drive_id}":
      changeDrive(machine, body);
      return;
    case "PUT /network-interfaces/{iface_id}":
      addNic(machine, body);
      return;
    case "PATCH /network-interfaces/{iface_id}":
      changeNic(config.nics, body);
      return;
    case "PUT /vsock":
      await listenForVsock(machine, body);
      return;
    case "PUT /balloon":
    case "PATCH /balloon":
    case "PATCH /balloon/statistics":
      setBalloon(machine, { body, first: operation.method === "PUT" });
      return;
    case "PUT /entropy":
      config.entropy = body;
      return;
    case "PUT /serial":
      config.serialPath = hostPath(machine, body, "serial_out_path");
      return;
    case "PUT /logger":
      setLogger(machine, body);
      return;
    case "PUT /metrics":
      setMetrics(machine, body);
      return;
    default:
      throw new Error(`nothing is known about ${operation.method} ${operation.path}`);
  }
}

/** Binds the socket that a vsock description names. */
export async function listenForVsock(machine: Machine, body: Body): Promise<void> {
  const told = textOf(body, "uds_path") ?? "";
  machine.config.vsock = undefined;
  await machine.vsock.listen(machine.input.toHost(told), told);
  const { vsock_id: _deprecated, ...rest } = body;
  machine.config.vsock = rest;
}

/** Throws when the file behind a drive cannot be used. */
export function checkDriveFile(machine: Machine, body: Body): void {
  const path = textOf(body, "path_on_host");
  if (path === undefined) return;
  const mode = body["is_read_only"] === true ? constants.R_OK : constants.R_OK | constants.W_OK;
  demandFile(machine, path, {
    mode,
    fault: (words) =>
      `Drive config error: Unable to create the virtio block device: Virtio backend error: Error manipulating the backing file: ${words} ${path}`,
  });
}

function checkBootSource(machine: Machine, body: Body): void {
  const kernel = textOf(body, "kernel_image_path") ?? "";
  demandFile(machine, kernel, {
    fault: (words) => `Boot source error: The kernel file cannot be opened: ${words}`,
  });
  const initrd = textOf(body, "initrd_path");
  if (initrd !== undefined)
    demandFile(machine, initrd, {
      fault: (words) =>
        `Boot source error: The initrd file cannot be opened due to invalid path or invalid permissions. ${words}`,
    });
  if (Buffer.byteLength(textOf(body, "boot_args") ?? "") >= MAX_CMDLINE_BYTES)
    throw violation(
      "Boot source error: The kernel command line is invalid: Invalid cmdline capacity provided.",
    );
}

function checkMachine(body: Body): void {
  const memory = Number(body["mem_size_mib"]);
  const pages = textOf(body, "huge_pages") ?? "None";
  if (memory === 0 || (pages !== "None" && memory % 2 !== 0))
    throw violation(
      "Machine config error: The memory size (MiB) is either 0, or not a multiple of the configured page size.",
    );
}

function addDrive(machine: Machine, body: Body): void {
  const { drives } = machine.config;
  const id = textOf(body, "drive_id") ?? "";
  const otherRoot = [...drives].some(([name, drive]) => name !== id && drive["is_root_device"] === true);
  if (body["is_root_device"] === true && otherRoot)
    throw violation("Drive config error: A root block device already exists!");
  const isVhost = body["socket"] !== undefined;
  if (isVhost === (body["path_on_host"] !== undefined))
    throw violation("Drive config error: Unable to create the virtio block device: Invalid block config.");
  checkDriveFile(machine, body);
  drives.set(id, body);
}

function changeDrive(machine: Machine, body: Body): void {
  const fault = "Drive config error: Unable to patch the block device: ";
  const cure = " Please verify the request arguments.";
  const id = textOf(body, "drive_id") ?? "";
  const known = machine.config.drives.get(id);
  if (known === undefined)
    throw violation(`${fault}Failed perform action on device: Device not found${cure}`);
  if (body["path_on_host"] === undefined && body["rate_limiter"] === undefined)
    throw violation(`${fault}Block: Running method expected different backend.${cure}`);
  checkDriveFile(machine, { ...known, ...body });
  machine.config.drives.set(id, { ...known, ...body });
}

function addNic(machine: Machine, body: Body): void {
  const { nics } = machine.config;
  const id = textOf(body, "iface_id") ?? "";
  const mac = textOf(body, "guest_mac");
  if (mac !== undefined && !/^[0-9a-f]{2}(:[0-9a-f]{2}){5}$/i.test(mac))
    throw violation(
      "An error occurred when deserializing the json body of a request: The provided MAC address is invalid..",
    );
  if (mac !== undefined && [...nics].some(([name, nic]) => name !== id && nic["guest_mac"] === mac))
    throw violation(`Network config error: The MAC address is already in use: ${mac}`);
  nics.set(id, body);
}

function changeNic(nics: Map<string, Body>, body: Body): void {
  const id = textOf(body, "iface_id") ?? "";
  const known = nics.get(id);
  if (known === undefined)
    throw violation(
      "Network config error: Unable to update the net device: Failed perform action on device: Device not found",
    );
  nics.set(id, { ...known, ...body });
}

function setBalloon(machine: Machine, request: { readonly body: Body; readonly first: boolean }): void {
  const { config } = machine;
  if (!request.first && config.balloon === undefined)
    throw violation("Balloon update error: No balloon device found.");
  if (Number(request.body["amount_mib"] ?? 0) > Number(config.machine["mem_size_mib"]))
    throw violation("Balloon config error: Amount of pages requested is too large.");
  config.balloon = { ...DEFAULT_BALLOON, ...config.balloon, ...request.body };
}

const DEFAULT_BALLOON: Body = {
  stats_polling_interval_s: 0,
  free_page_hinting: false,
  free_page_reporting: false,
};

function setLogger(machine: Machine, body: Body): void {
  const path = hostPath(machine, body, "log_path");
  if (path === undefined) return;
  attempt(
    () => machine.outputs.logTo(path),
    (words) => `Logger error: Failed to open target file: ${words}`,
  );
}

function setMetrics(machine: Machine, body: Body): void {
  const path = hostPath(machine, body, "metrics_path") ?? "";
  const isFirst = attempt(
    () => machine.outputs.metricsTo(path),
    (words) => `Metrics error: Cannot initialize the metrics system due to bad user input: ${words}`,
  );
  if (!isFirst)
    throw violation(
      "Metrics error: Cannot initialize the metrics system due to bad user input: Reinitialization of metrics not allowed.",
    );
}

function demandFile(
  machine: Machine,
  path: string,
  options: { readonly mode?: number; readonly fault: (words: string) => string },
): void {
  attempt(() => accessSync(machine.input.toHost(path), options.mode ?? constants.R_OK), options.fault);
}

function attempt<T>(action: () => T, fault: (words: string) => string): T {
  try {
    return action();
  } catch (error) {
    throw new Refusal(fault(osWords(error)));
  }
}

function hostPath(machine: Machine, body: Body, field: string): string | undefined {
  const path = textOf(body, field);
  return path === undefined ? undefined : machine.input.toHost(path);
}
