/** Bodies about the daemon and its host. */
import { z } from "zod";
import { type DoctorRow } from "../../model/doctor.ts";
import type { ConfigReport, DaemonStatus, DoctorReport } from "../types/host.ts";

export const DaemonStatusSchema: z.ZodType<DaemonStatus> = z
  .strictObject({
    pid: z.int(),
    version: z.string(),
    startedAt: z.int().describe("Unix milliseconds"),
    socket: z.string(),
    stateDir: z.string(),
    vms: z.int().describe("Records"),
    running: z.int(),
    rssBytes: z.int(),
  })
  .meta({ id: "DaemonStatus" });

export const DoctorRowSchema: z.ZodType<DoctorRow> = z
  .strictObject({
    check: z.string(),
    verdict: z.enum(["pass", "warn", "fail"]),
    message: z.string(),
    cure: z.string().optional(),
  })
  .meta({ id: "DoctorRow" });

export const DoctorReportSchema: z.ZodType<DoctorReport> = z
  .strictObject({
    rows: z.array(DoctorRowSchema),
    capabilities: z.record(z.string(), z.union([z.boolean(), z.string()])).describe("What this host offers"),
  })
  .meta({ id: "DoctorReport" });

export const ConfigReportSchema: z.ZodType<ConfigReport> = z
  .strictObject({
    path: z.string().describe("The file"),
    exists: z.boolean().describe("Whether there was one when the daemon started"),
    changed: z.boolean().describe("The file is another one since the daemon started"),
    problem: z.string().optional().describe("Why no daemon could start with the file as it is now"),
    settings: z.array(
      z.strictObject({
        key: z.string().describe("Its dotted path in the file"),
        value: z.union([z.string(), z.number()]).describe("As it would be written in the file"),
        origin: z.enum(["variable", "file", "default"]),
        variable: z.string().describe("The environment variable that goes before the file"),
        description: z.string(),
      }),
    ),
  })
  .meta({ id: "ConfigReport" });
