/** Bodies about what VMs use, and what listens in them. */

/** What a VM uses now: the host's side, and the guest's own word when it answers. */
export interface VmStats {
  readonly id: string;
  readonly name: string;
  /** CPU time of the hypervisor process. */
  readonly cpuMs: number;
  /** Resident memory of the hypervisor process. */
  readonly rssBytes: number;
  readonly guest?: GuestStats | undefined;
}

export interface GuestStats {
  readonly uptimeMs: number;
  readonly memoryTotalBytes: number;
  readonly memoryAvailableBytes: number;
  readonly cpuMs: number;
  readonly processes: number;
  /** Of the writable layer, as the next. */
  readonly diskTotalBytes: number;
  readonly diskUsedBytes: number;
}

/** A socket that listens in a guest. */
export interface Listener {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
  readonly pid?: number | undefined;
  readonly command?: string | undefined;
  /** Where this host listens for it. */
  readonly published?: readonly string[] | undefined;
}
