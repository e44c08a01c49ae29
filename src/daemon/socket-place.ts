/** The place of the daemon's socket: what a daemon left there goes, anything else is somebody's. */
import { lstatSync } from "node:fs";
import { BangerError } from "../model/errors.ts";

/** Errors: `failed_precondition` for what is neither a socket nor a link. Touches nothing. */
export function demandSocketPlace(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined || found.isSocket() || found.isSymbolicLink()) return;
  const what = found.isDirectory() ? "a directory" : found.isFile() ? "a file" : "no socket";
  throw new BangerError("failed_precondition", `${path} is ${what}, where the daemon's socket belongs`, {
    cure: `move it away with: mv ${path} ${path}.away`,
  });
}
