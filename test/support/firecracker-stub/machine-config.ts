/** What a microVM has been told about itself. Bodies have been checked against their schemas before they get here. */

export type Body = Readonly<Record<string, unknown>>;

export interface MachineConfig {
  machine: Body;
  bootSource: Body | undefined;
  readonly drives: Map<string, Body>;
  readonly nics: Map<string, Body>;
  vsock: Body | undefined;
  balloon: Body | undefined;
  entropy: Body | undefined;
  serialPath: string | undefined;
}

export function createMachineConfig(): MachineConfig {
  return {
    machine: DEFAULT_MACHINE,
    bootSource: undefined,
    drives: new Map(),
    nics: new Map(),
    vsock: undefined,
    balloon: undefined,
    entropy: undefined,
    serialPath: undefined,
  };
}

/** The answer to GET /vm/config: null for what is not there (seen with 1.17). */
export function exportedConfig(config: MachineConfig): Body {
  return {
    balloon: config.balloon ?? null,
    drives: [...config.drives.values()],
    "boot-source": config.bootSource ?? { kernel_image_path: "", initrd_path: null, boot_args: null },
    "cpu-config": null,
    logger: null,
    "machine-config": config.machine,
    metrics: null,
    "mmds-config": null,
    "network-interfaces": [...config.nics.values()],
    vsock: config.vsock ?? null,
    entropy: config.entropy ?? null,
    pmem: [],
    "memory-hotplug": null,
  };
}

/** A field that is a string; the schemas say which are. */
export function textOf(body: Body, field: string): string | undefined {
  const value = body[field];
  return typeof value === "string" ? value : undefined;
}

export const DEFAULT_MACHINE: Body = {
  vcpu_count: 1,
  mem_size_mib: 128,
  smt: false,
  track_dirty_pages: false,
  huge_pages: "None",
};
