/** Bodies that every operation may answer with: errors, progress, nothing. */
import { z } from "zod";
import { ERROR_CODES, type ErrorBody, type ErrorCode } from "../../model/errors.ts";
import type { ProgressLine } from "../types/progress.ts";

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

export const EmptySchema: z.ZodType<Readonly<Record<string, never>>> = z
  .strictObject({})
  .meta({ id: "Empty" });

/** A line of an NDJSON answer: progress, then exactly one `result` or `error`. */
export const ProgressSchema: z.ZodType<ProgressLine> = z
  .discriminatedUnion("event", [
    z.strictObject({ event: z.literal("begin"), stage: z.string() }),
    z.strictObject({ event: z.literal("end"), stage: z.string(), ms: z.number() }),
    z.strictObject({ event: z.literal("note"), text: z.string() }),
    z.strictObject({
      event: z.literal("layer"),
      digest: z.string().describe("Of a layer that is being fetched"),
      doneBytes: z.int().describe("How much of it is there"),
      totalBytes: z.int(),
    }),
    z.strictObject({ event: z.literal("error"), error: ErrorSchema }),
    z.strictObject({ event: z.literal("result"), result: z.unknown() }),
  ])
  .meta({ id: "ProgressLine" });
