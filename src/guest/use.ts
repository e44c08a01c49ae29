/** What a guest uses, and what listens in it, as the agent tells it. */
import { z } from "zod";

export interface GuestStats {
  readonly uptimeMs: number;
  readonly memoryTotalBytes: number;
  readonly memoryAvailableBytes: number;
  readonly cpuMs: number;
  readonly processes: number;
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

/** So many listeners are taken from one answer (the protocol's own bound). */
export const MAX_LISTENERS = 1_024;

export const ListenerSchema: z.ZodType<GuestListener> = z.object({
  protocol: z.enum(["tcp", "udp"]),
  address: z.string().max(64),
  port: z.int().min(1).max(65_535),
  pid: z.int().optional(),
  command: z
    .string()
    .max(256)
    .regex(/^[ -~]*$/)
    .optional(),
});
