/** How an error looks to a person: what happened, and the cure. */
import type { BangerError } from "../../model/errors.ts";
import { printable } from "./printable.ts";

export function renderError(error: BangerError): string {
  const lines = [`banger: ${error.message}`];
  if (error.code === "internal")
    lines.push("This is a fault of banger's own; banger daemon logs may say more.");
  if (error.cure !== undefined) lines.push(`  cure: ${error.cure}`);
  return printable(lines.join("\n"));
}
