/** Bodies and socket messages of commands in guests. */
import { z } from "zod";
import { validateUser, validateWorkdir } from "../../model/spec.ts";
import type { Exec, ExecClientMessage, ExecRequest } from "../types/exec.ts";
import type { RunRequest } from "../types/vms.ts";
import { SetupSchema } from "./bootstrap.ts";
import { Env, ruled, TerminalSide, whole } from "./fields.ts";
import { CreateVmSchema } from "./vms.ts";
import { ImportWorkspaceSchema } from "./workspaces.ts";

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
    builtin: z
      .literal("sftp")
      .optional()
      .describe(
        "What the guest's agent itself runs in place of argv, which is for agents that are too old for it",
      ),
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
    cold: z.boolean().optional().describe("Boot, even where a template would be faster"),
    workspace: ImportWorkspaceSchema.optional().describe(
      "A git work tree that comes along; the command starts in it",
    ),
    setup: SetupSchema.optional().describe(
      "What is run before the command; the first that fails ends the run",
    ),
  })
  .meta({ id: "RunRequest" });

export const ExecSchema: z.ZodType<Exec> = z
  .strictObject({
    id: z.string(),
    pid: z.int(),
    argv: z.array(z.string()),
    startedAt: z.int().describe("Unix milliseconds"),
    running: z.boolean(),
    tty: z.boolean(),
    exitCode: z.int().optional(),
  })
  .meta({ id: "Exec" });

export const ExecListSchema: z.ZodType<{ execs: readonly Exec[] }> = z
  .strictObject({ execs: z.array(ExecSchema) })
  .meta({ id: "ExecList" });

export const StartedExecSchema: z.ZodType<{ id: string; pid: number }> = z
  .strictObject({ id: z.string(), pid: z.int() })
  .meta({ id: "StartedExec" });

export const ExecClientMessageSchema: z.ZodType<ExecClientMessage> = z
  .discriminatedUnion("type", [
    z.strictObject({ type: z.literal("exec"), exec: ExecRequestSchema }),
    z.strictObject({ type: z.literal("run"), run: RunRequestSchema }),
    z.strictObject({ type: z.literal("attach"), id: z.string().regex(/^[A-Za-z0-9_-]{1,64}$/) }),
    z.strictObject({ type: z.literal("end") }),
    z.strictObject({ type: z.literal("cancel") }),
    z.strictObject({ type: z.literal("detach") }),
    z.strictObject({ type: z.literal("resize"), cols: TerminalSide, rows: TerminalSide }),
    z.strictObject({ type: z.literal("signal"), signal: z.string().regex(/^[A-Z0-9]{1,12}$/) }),
    z.strictObject({
      type: z.literal("credit"),
      channel: z.union([z.literal(1), z.literal(2)]),
      bytes: z.int().min(1).max(262_144),
    }),
  ])
  .meta({ id: "ExecClientMessage" });
