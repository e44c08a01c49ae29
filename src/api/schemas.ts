/** Every body of the API as a schema: what checks requests, types the client and makes the OpenAPI document. */
import { z } from "zod";
import type { DoctorRow } from "../model/doctor.ts";
import { ERROR_CODES, type ErrorBody, type ErrorCode } from "../model/errors.ts";
import { validateImageName, validateVmName } from "../model/names.ts";
import { isEnvKey, SPEC_LIMITS, type VmSpec, validateUser, validateWorkdir } from "../model/spec.ts";
import { type StepTiming, VM_STATES } from "../model/vm.ts";
import type {
  ConfigReport,
  CreateVm,
  DaemonStatus,
  DoctorReport,
  Exec,
  ExecClientMessage,
  ExecRequest,
  GuestStats,
  Image,
  ImportImage,
  KillVm,
  Listener,
  ProgressLine,
  PullImage,
  RunRequest,
  SetVm,
  StopVm,
  Vm,
  VmEvent,
  VmStats,
} from "./types.ts";

/** A string that a rule of the model accepts; the rule's own words become the message. */
function ruled(rule: (text: string) => string, maxLength: number) {
  return z
    .string()
    .max(maxLength)
    .superRefine((text, ctx) => {
      try {
        rule(text);
      } catch (error) {
        ctx.addIssue({ code: "custom", message: error instanceof Error ? error.message : String(error) });
      }
    });
}

const whole = (range: { readonly min: number; readonly max: number }) =>
  z.int().min(range.min).max(range.max);

const TerminalSide = z.int().min(1).max(10_000);

const Env = z
  .record(
    z.string().refine(isEnvKey, "is not a name of letters, digits and '_'"),
    z
      .string()
      .max(131_072)
      .refine((text) => !text.includes("\0"), "holds a NUL"),
  )
  .refine((env) => Object.keys(env).length <= 4096, "has more than 4096 entries");

export const ErrorSchema: z.ZodType<ErrorBody> = z
  .strictObject({
    code: z.enum(ERROR_CODES as [ErrorCode, ...ErrorCode[]]),
    message: z.string(),
    cure: z.string().optional().describe("The command or change that cures it"),
    details: z.record(z.string(), z.unknown()).optional().describe("Facts for programs"),
  })
  .meta({ id: "Error" });

export const ErrorEnvelopeSchema: z.ZodType<{ error: ErrorBody }> = z
  .strictObject({ error: ErrorSchema })
  .meta({ id: "ErrorEnvelope" });

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
    ephemeral: z.boolean().describe("True: deleted with the run that made it"),
    directory: z.string().describe("The VM's directory on the host"),
    driver: z.string().optional(),
    bootId: z.string().optional().describe("The guest kernel's boot id"),
    pid: z.int().optional().describe("The hypervisor's process, while it runs"),
    responsive: z.boolean().optional().describe("False: the running guest has been silent for 20 s"),
    createdAt: z.int().describe("Unix milliseconds"),
    startedAt: z.int().optional(),
    stoppedAt: z.int().optional(),
    lastError: ErrorSchema.optional(),
    pending: z.array(z.string()).describe("The fields of spec that wait for the next start"),
    startSteps: z.array(StepTimingSchema).describe("The steps of the last start"),
  })
  .meta({ id: "Vm" });

export const VmListSchema: z.ZodType<{ vms: readonly Vm[] }> = z
  .strictObject({ vms: z.array(VmSchema) })
  .meta({ id: "VmList" });

export const CreateVmSchema: z.ZodType<CreateVm> = z
  .strictObject({
    name: ruled(validateVmName, 64).optional().describe("Absent: the daemon makes a readable one"),
    image: ruled(validateImageName, 256).optional().describe("Absent: the configured default"),
    vcpus: whole(SPEC_LIMITS.vcpus).optional(),
    memoryMib: whole(SPEC_LIMITS.memoryMib).optional(),
    diskMib: whole(SPEC_LIMITS.diskMib).optional(),
    env: Env.optional(),
  })
  .meta({ id: "CreateVm" });

export const ExecRequestSchema: z.ZodType<ExecRequest> = z
  .strictObject({
    argv: z
      .array(
        z
          .string()
          .max(131_072)
          .refine((text) => !text.includes("\0"), "holds a NUL"),
      )
      .max(4096)
      .optional()
      .describe("Absent or empty: the image's own command, else a shell"),
    env: Env.optional(),
    cwd: ruled(validateWorkdir, 4096).optional(),
    user: ruled(validateUser, 65).optional(),
    tty: z
      .strictObject({
        cols: TerminalSide,
        rows: TerminalSide,
        term: z.string().regex(/^[A-Za-z0-9._+-]{1,64}$/),
      })
      .optional(),
    timeoutMs: whole({ min: 1, max: 365 * 86_400_000 })
      .optional()
      .describe("The command is killed in the guest when it is over"),
  })
  .meta({ id: "ExecRequest" });

export const RunRequestSchema: z.ZodType<RunRequest> = z
  .strictObject({
    vm: CreateVmSchema,
    exec: ExecRequestSchema.optional().describe("Absent: start only, and detach"),
    remove: z
      .boolean()
      .optional()
      .describe("Delete the VM when the command has ended or the client goes away"),
  })
  .meta({ id: "RunRequest" });

export const KillVmSchema: z.ZodType<KillVm> = z
  .strictObject({ signal: z.enum(["KILL", "TERM"]).optional().describe("Default: KILL") })
  .meta({ id: "KillVm" });

export const SetVmSchema: z.ZodType<SetVm> = z
  .strictObject({
    name: ruled(validateVmName, 64).optional(),
    vcpus: whole(SPEC_LIMITS.vcpus).optional(),
    memoryMib: whole(SPEC_LIMITS.memoryMib).optional(),
    diskMib: whole(SPEC_LIMITS.diskMib).optional().describe("Only larger"),
  })
  .meta({ id: "SetVm" });

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
        })
        .meta({ id: "Listener" }),
    ),
  })
  .meta({ id: "ListenerList" });

export const ExecSchema: z.ZodType<Exec> = z
  .strictObject({
    id: z.string(),
    pid: z.int(),
    argv: z.array(z.string()),
    startedAt: z.int().describe("Unix milliseconds"),
    running: z.boolean(),
    exitCode: z.int().optional(),
  })
  .meta({ id: "Exec" });

export const ExecListSchema: z.ZodType<{ execs: readonly Exec[] }> = z
  .strictObject({ execs: z.array(ExecSchema) })
  .meta({ id: "ExecList" });

export const StartedExecSchema: z.ZodType<{ id: string; pid: number }> = z
  .strictObject({ id: z.string(), pid: z.int() })
  .meta({ id: "StartedExec" });

export const VmEventSchema: z.ZodType<VmEvent> = z
  .strictObject({
    cursor: z.int().describe("Ascending; where a reader goes on"),
    at: z.int().describe("Unix milliseconds"),
    kind: z.enum(["created", "removed", "changed", ...VM_STATES]),
    vm: z.string(),
    name: z.string(),
    message: z.string().optional(),
  })
  .meta({ id: "VmEvent" });

export const StopVmSchema: z.ZodType<StopVm> = z
  .strictObject({
    timeoutMs: whole({ min: 0, max: 3_600_000 })
      .optional()
      .describe("How long the guest may take; default: the configured stop_timeout"),
  })
  .meta({ id: "StopVm" });

export const ImageSchema: z.ZodType<Image> = z
  .strictObject({
    name: z.string(),
    digest: z.string().describe("sha256 of the root file system"),
    sizeBytes: z.int(),
    source: z.string(),
    createdAt: z.int().describe("Unix milliseconds"),
  })
  .meta({ id: "Image" });

export const ImageListSchema: z.ZodType<{ images: readonly Image[] }> = z
  .strictObject({ images: z.array(ImageSchema) })
  .meta({ id: "ImageList" });

export const PullImageSchema: z.ZodType<PullImage> = z
  .strictObject({ name: ruled(validateImageName, 256) })
  .meta({ id: "PullImage" });

export const ImportImageSchema: z.ZodType<ImportImage> = z
  .strictObject({
    name: ruled(validateImageName, 256),
    path: z
      .string()
      .max(4096)
      .startsWith("/")
      .describe("An absolute path of a root file system tar on the host"),
  })
  .meta({ id: "ImportImage" });

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

export const EmptySchema: z.ZodType<Readonly<Record<string, never>>> = z
  .strictObject({})
  .meta({ id: "Empty" });

/** A line of an NDJSON answer: progress, then exactly one `result` or `error`. */
export const ProgressSchema: z.ZodType<ProgressLine> = z
  .discriminatedUnion("event", [
    z.strictObject({ event: z.literal("begin"), stage: z.string() }),
    z.strictObject({ event: z.literal("end"), stage: z.string(), ms: z.number() }),
    z.strictObject({ event: z.literal("note"), text: z.string() }),
    z.strictObject({ event: z.literal("error"), error: ErrorSchema }),
    z.strictObject({ event: z.literal("result"), result: z.unknown() }),
  ])
  .meta({ id: "ProgressLine" });

export const ExecClientMessageSchema: z.ZodType<ExecClientMessage> = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("exec"), exec: ExecRequestSchema }),
    z.strictObject({ type: z.literal("run"), run: RunRequestSchema }),
    z.strictObject({ type: z.literal("attach"), id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) }),
    z.strictObject({ type: z.literal("end") }),
    z.strictObject({ type: z.literal("cancel") }),
    z.strictObject({ type: z.literal("resize"), cols: TerminalSide, rows: TerminalSide }),
    z.strictObject({ type: z.literal("signal"), signal: z.string().regex(/^[A-Z0-9]{1,12}$/) }),
    z.strictObject({
      type: z.literal("credit"),
      channel: z.union([z.literal(1), z.literal(2)]),
      bytes: z.int().min(1).max(262_144),
    }),
  ])
  .meta({ id: "ExecClientMessage" });
