/** Bodies about what VMs use, and what listens in them. */
import { z } from "zod";
import type { GuestStats, Listener, VmStats } from "../types/use.ts";

const GuestStatsSchema: z.ZodType<GuestStats> = z
  .strictObject({
    uptimeMs: z.number(),
    memoryTotalBytes: z.number(),
    memoryAvailableBytes: z.number(),
    cpuMs: z.number(),
    processes: z.number(),
    diskTotalBytes: z.number().describe("Of the writable layer"),
    diskUsedBytes: z.number(),
  })
  .meta({ id: "GuestStats" });

export const StatsListSchema: z.ZodType<{ stats: readonly VmStats[] }> = z
  .strictObject({
    stats: z.array(
      z
        .strictObject({
          id: z.string(),
          name: z.string(),
          cpuMs: z.number().describe("CPU time of the hypervisor process"),
          rssBytes: z.number().describe("Resident memory of the hypervisor process"),
          guest: GuestStatsSchema.optional().describe("Absent when the guest does not answer"),
        })
        .meta({ id: "VmStats" }),
    ),
  })
  .meta({ id: "StatsList" });

export const ListenerListSchema: z.ZodType<{ listeners: readonly Listener[] }> = z
  .strictObject({
    listeners: z.array(
      z
        .strictObject({
          protocol: z.enum(["tcp", "udp"]),
          address: z.string(),
          port: z.int(),
          pid: z.int().optional(),
          command: z.string().optional(),
          published: z.array(z.string()).optional().describe("Where this host listens for it"),
        })
        .meta({ id: "Listener" }),
    ),
  })
  .meta({ id: "ListenerList" });
