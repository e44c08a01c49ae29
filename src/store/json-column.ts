/** JSON in columns of the database. */
import { BangerError } from "../model/errors.ts";

/**
 * Reads a column; `what` says whose it is: `the specification of the VM web`. Errors: `failed_precondition` when it cannot be read, which
 * is damage that SQLite does not see: it keeps no checksums of rows.
 */
export function readJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new BangerError("failed_precondition", `the database is damaged: ${what} cannot be read`, {
      cure: "restore a backup of state.db; what is beside it was left as it is",
      cause: error,
    });
  }
}
