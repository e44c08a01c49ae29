/** Fields that several schemas share: a string under a rule of the model, a whole number in a range, an environment. */
import { z } from "zod";
import { isEnvKey } from "../../model/spec.ts";

/** A string that a rule of the model accepts; the rule's own words become the message. */
export function ruled(rule: (text: string) => string, maxLength: number): z.ZodType<string> {
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

export const whole = (range: { readonly min: number; readonly max: number }): z.ZodType<number> =>
  z.int().min(range.min).max(range.max);

export const TerminalSide: z.ZodType<number> = z.int().min(1).max(10_000);

export const Env: z.ZodType<Record<string, string>> = z
  .record(
    z.string().refine(isEnvKey, "is not a name of letters, digits and '_'"),
    z
      .string()
      .max(131_072)
      .refine((text) => !text.includes("\0"), "holds a NUL"),
  )
  .refine((env) => Object.keys(env).length <= 4096, "has more than 4096 entries");
