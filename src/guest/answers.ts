/** Fields of the agent's answers, which a hostile guest may have made up. */
import { z } from "zod";
import { BangerError } from "../model/errors.ts";

/** Entries that make no sense are left out: the guest makes them up at its own risk. */
export function parseEntries<T>(value: unknown, schema: z.ZodType<T>, limit: number): T[] {
  if (!Array.isArray(value)) throw new BangerError("guest_error", "the guest agent's list is none");
  return value.slice(0, limit).flatMap((entry: unknown) => {
    const parsed = schema.safeParse(entry);
    return parsed.success ? [parsed.data] : [];
  });
}

/** Not negative. Errors: `guest_error`, naming the field. */
export function numberOf(answer: Readonly<Record<string, unknown>>, field: string): number {
  const value = answer[field];
  if (typeof value === "number" && Number.isFinite(value) && value >= 0) return value;
  throw new BangerError("guest_error", `the guest agent's answer lacks ${field}`);
}
