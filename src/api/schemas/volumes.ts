/** Bodies about volumes. */
import { z } from "zod";
import {
  isDirectoryMount,
  type VolumeMount,
  validateMountSource,
  validateMountTarget,
  validateVolumeName,
} from "../../model/volume.ts";
import type { Volume } from "../types/volumes.ts";
import { ruled } from "./fields.ts";

const Name = ruled(validateVolumeName, 64);
const Size = z
  .int()
  .min(1)
  .max(2 ** 50)
  .describe("Rounded up to 4096 bytes");

export const VolumeMountSchema: z.ZodType<VolumeMount> = z
  .strictObject({
    volume: ruled(validateMountSource, 4096).describe(
      "A volume's name, or the absolute path of a directory of the host, which is copied in at each start",
    ),
    target: ruled(validateMountTarget, 4096).describe("Absolute path in the guest"),
    readOnly: z.boolean(),
  })
  .refine((mount) => mount.readOnly || !isDirectoryMount(mount), "a directory is mounted read-only")
  .meta({ id: "VolumeMount" });

export const VolumeSchema: z.ZodType<Volume> = z
  .strictObject({
    name: z.string(),
    sizeBytes: z.int(),
    storedBytes: z.int().describe("What it takes of the host's disk"),
    createdAt: z.int().describe("Unix milliseconds"),
    vms: z.array(z.string()).describe("The VMs that name it, running or not"),
  })
  .meta({ id: "Volume" });

export const VolumeListSchema: z.ZodType<{ volumes: readonly Volume[] }> = z
  .strictObject({ volumes: z.array(VolumeSchema) })
  .meta({ id: "VolumeList" });

export const CreateVolumeSchema: z.ZodType<{ name: string; sizeBytes: number }> = z
  .strictObject({ name: Name, sizeBytes: Size })
  .meta({ id: "CreateVolume" });

export const SetVolumeSchema: z.ZodType<{ sizeBytes: number }> = z
  .strictObject({ sizeBytes: Size.describe("Only larger") })
  .meta({ id: "SetVolume" });
