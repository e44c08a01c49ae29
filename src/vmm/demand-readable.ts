/** What a hypervisor opens before anything else has to be there. */
import { accessSync, constants } from "node:fs";
import { BangerError } from "../model/errors.ts";

/** Errors: `unavailable`, naming the path. */
export function demandReadable(path: string): void {
  try {
    accessSync(path, constants.R_OK);
  } catch (cause) {
    throw new BangerError("unavailable", `cannot read ${path}`, { cause });
  }
}
