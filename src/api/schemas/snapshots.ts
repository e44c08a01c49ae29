/** Bodies about snapshots and forks. */
import { z } from "zod";
import { validateVmName } from "../../model/names.ts";
import { MAX_FORKS } from "../../model/vm-wish.ts";
import type { CreateSnapshot, Forks, ForkVm, RestoreVm, Snapshot } from "../types/snapshots.ts";
import { ruled, whole } from "./fields.ts";
import { VmSchema, VmSpecSchema } from "./vms.ts";

export const SnapshotSchema: z.ZodType<Snapshot> = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    vm: z.string().describe("The id of the VM that it was taken from, which may be gone"),
    vmName: z.string(),
    spec: VmSpecSchema,
    imageDigest: z.string(),
    parent: z.string().optional().describe("The id of the snapshot that the VM was made from"),
    kind: z.enum(["machine", "disk"]).describe("machine: memory, devices and disk; disk: the disk alone"),
    sizeBytes: z.int().describe("What it takes of the host's disk"),
    pauseMs: z.number().describe("How long the guest stood still for it"),
    createdAt: z.int().describe("Unix milliseconds"),
  })
  .meta({ id: "Snapshot" });

export const SnapshotListSchema: z.ZodType<{ snapshots: readonly Snapshot[] }> = z
  .strictObject({ snapshots: z.array(SnapshotSchema) })
  .meta({ id: "SnapshotList" });

export const CreateSnapshotSchema: z.ZodType<CreateSnapshot> = z
  .strictObject({
    name: ruled(validateVmName, 64).optional().describe("Absent: the VM's name and a number"),
    diskOnly: z.boolean().optional().describe("Save the disk alone, also of a running VM"),
  })
  .meta({ id: "CreateSnapshot" });

export const RestoreVmSchema: z.ZodType<RestoreVm> = z
  .strictObject({ snapshot: ruled(validateVmName, 64).describe("A snapshot of the VM, by name or id") })
  .meta({ id: "RestoreVm" });

export const ForkVmSchema: z.ZodType<ForkVm> = z
  .strictObject({
    count: whole({ min: 1, max: MAX_FORKS }).optional().describe("How many; default 1"),
    prefix: ruled(validateVmName, 60).optional().describe("The children are PREFIX-1, PREFIX-2, and so on"),
  })
  .meta({ id: "ForkVm" });

export const ForksSchema: z.ZodType<Forks> = z
  .strictObject({
    vms: z.array(VmSchema),
    pauseMs: z.number().describe("How long the parent stood still"),
  })
  .meta({ id: "Forks" });
