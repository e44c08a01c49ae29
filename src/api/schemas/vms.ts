/** Bodies about VMs: what one is asked to be, what it is, what happened to it. */
import { z } from "zod";
import { MAX_IMAGE_NAME, validateImageName } from "../../model/image-reference.ts";
import { INITS } from "../../model/init.ts";
import { validateKernelName } from "../../model/kernel-names.ts";
import { validateVmName } from "../../model/names.ts";
import { MAX_PUBLISHED } from "../../model/published-port.ts";
import { SPEC_LIMITS, type VmSpec, validateVmm } from "../../model/spec.ts";
import { type StepTiming, VM_STATES } from "../../model/vm.ts";
import { MAX_STOP_TIMEOUT_MS } from "../../model/vm-wish.ts";
import { MAX_MOUNTS } from "../../model/volume.ts";
import type { CreateVm, KillVm, SetVm, StopVm, Vm, VmEvent } from "../types/vms.ts";
import { ErrorSchema } from "./common.ts";
import { Env, ruled, whole } from "./fields.ts";
import { NetworkSpecSchema, NetworkWishSchema } from "./network.ts";
import { PublishedPortRefSchema, PublishedPortSchema } from "./ports.ts";
import { VolumeMountSchema } from "./volumes.ts";

export const StepTimingSchema: z.ZodType<StepTiming> = z
  .strictObject({ name: z.string(), ms: z.number().describe("Milliseconds") })
  .meta({ id: "StepTiming" });

export const VmSpecSchema: z.ZodType<VmSpec> = z
  .strictObject({
    image: z.string(),
    vcpus: z.int(),
    memoryMib: z.int(),
    diskMib: z.int().describe("Size of the writable layer"),
    env: z.record(z.string(), z.string()),
    vmm: z.string().optional().describe("The driver that has to run it"),
    init: z.enum(INITS).optional().describe("Process 1 of the guest, when it is not for the image to say"),
    kernel: z.string().optional().describe("The name of the kernel that it boots; absent: the default"),
    volumes: z.array(VolumeMountSchema).optional(),
    network: NetworkSpecSchema,
    ports: z.array(PublishedPortSchema).optional(),
  })
  .meta({ id: "VmSpec" });

export const VmSchema: z.ZodType<Vm> = z
  .strictObject({
    id: z.string(),
    name: z.string(),
    state: z.enum(VM_STATES),
    spec: VmSpecSchema,
    imageDigest: z.string().describe("sha256 of the image's root file system"),
    address: z.string().describe("The guest's address in the plan"),
    address6: z
      .string()
      .optional()
      .describe("Its IPv6 address; where one VM is shown that is up and has one"),
    ephemeral: z.boolean().describe("True: deleted with the run that made it"),
    directory: z.string().describe("The VM's directory on the host"),
    parent: z.string().optional().describe("The id of the snapshot that it was made from"),
    driver: z.string().optional(),
    bootId: z.string().optional().describe("The guest kernel's boot id"),
    pid: z.int().optional().describe("The hypervisor's process, while it runs"),
    responsive: z.boolean().optional().describe("False: the running guest has been silent for 20 s"),
    createdAt: z.int().describe("Unix milliseconds"),
    startedAt: z.int().optional(),
    stoppedAt: z.int().optional(),
    lastError: ErrorSchema.optional(),
    networkWay: z
      .enum(["card", "channel"])
      .optional()
      .describe("How it reaches others; where one VM is shown"),
    portProblems: z
      .array(z.string())
      .optional()
      .describe("Why ports that should be published are not; where one VM is shown"),
    pending: z.array(z.string()).describe("The fields of spec that wait for the next start"),
    startSteps: z.array(StepTimingSchema).describe("The steps of the last start"),
    exposedPorts: z
      .array(z.string())
      .optional()
      .describe("The ports that the image says it serves, such as 80/tcp; where one VM is shown"),
    labels: z.record(z.string(), z.string()).optional().describe("Of the image; where one VM is shown"),
  })
  .meta({ id: "Vm" });

export const VmListSchema: z.ZodType<{ vms: readonly Vm[] }> = z
  .strictObject({ vms: z.array(VmSchema) })
  .meta({ id: "VmList" });

export const CreateVmSchema: z.ZodType<CreateVm> = z
  .strictObject({
    name: ruled(validateVmName, 64).optional().describe("Absent: the daemon makes a readable one"),
    image: ruled(validateImageName, MAX_IMAGE_NAME).optional().describe("Absent: the configured default"),
    vcpus: whole(SPEC_LIMITS.vcpus).optional(),
    memoryMib: whole(SPEC_LIMITS.memoryMib).optional(),
    diskMib: whole(SPEC_LIMITS.diskMib).optional(),
    env: Env.optional(),
    vmm: ruled(validateVmm, 32).optional().describe("The driver; absent: the best that the host has"),
    init: z.enum(INITS).optional().describe("Process 1 of the guest; absent: what the image says"),
    kernel: ruled(validateKernelName, 64)
      .optional()
      .describe("A kernel's name, host, or image: the image's own; absent: Debian's"),
    volumes: z.array(VolumeMountSchema).max(MAX_MOUNTS).optional(),
    ports: z.array(PublishedPortSchema).max(MAX_PUBLISHED).optional(),
    snapshot: ruled(validateVmName, 64)
      .optional()
      .describe("Go on from this snapshot, by name or id, when it starts first"),
    network: NetworkWishSchema.optional().describe("Absent: public"),
  })
  .meta({ id: "CreateVm" });

export const SetVmSchema: z.ZodType<SetVm> = z
  .strictObject({
    name: ruled(validateVmName, 64).optional(),
    vcpus: whole(SPEC_LIMITS.vcpus).optional(),
    memoryMib: whole(SPEC_LIMITS.memoryMib).optional(),
    diskMib: whole(SPEC_LIMITS.diskMib).optional().describe("Only larger"),
    kernel: ruled(validateKernelName, 64)
      .optional()
      .describe("A kernel's name, host, or image: the image's own; debian: the default again"),
    network: NetworkWishSchema.optional().describe("Holds at once"),
    publish: z.array(PublishedPortSchema).max(MAX_PUBLISHED).optional().describe("Added, at once"),
    unpublish: z
      .array(PublishedPortRefSchema)
      .max(MAX_PUBLISHED)
      .optional()
      .describe("Taken away before, at once"),
  })
  .meta({ id: "SetVm" });

export const KillVmSchema: z.ZodType<KillVm> = z
  .strictObject({ signal: z.enum(["KILL", "TERM"]).optional().describe("Default: KILL") })
  .meta({ id: "KillVm" });

export const StopVmSchema: z.ZodType<StopVm> = z
  .strictObject({
    timeoutMs: whole({ min: 0, max: MAX_STOP_TIMEOUT_MS })
      .optional()
      .describe("How long the guest may take; default: the configured stop_timeout"),
  })
  .meta({ id: "StopVm" });

export const VmEventSchema: z.ZodType<VmEvent> = z
  .strictObject({
    cursor: z.int().describe("Ascending; where a reader goes on"),
    at: z.int().describe("Unix milliseconds"),
    kind: z.enum(["created", "removed", "changed", "blocked", ...VM_STATES]),
    vm: z.string(),
    name: z.string(),
    message: z.string().optional(),
  })
  .meta({ id: "VmEvent" });
