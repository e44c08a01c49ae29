/** What a guest uses, and what listens in it. */

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

/** A socket that listens in the guest. */
export interface GuestListener {
  readonly protocol: "tcp" | "udp";
  readonly address: string;
  readonly port: number;
  readonly pid?: number | undefined;
  readonly command?: string | undefined;
}
