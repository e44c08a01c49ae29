/** What the end of a hypervisor process means. */
import { BangerError } from "../model/errors.ts";
import type { ProcessExit } from "../vmm/port.ts";

/** The error of an end that nobody asked for; undefined for a guest that powered itself off. Of an adopted process only its end is known. */
export function failureOfExit(exit: ProcessExit): BangerError | undefined {
  const endedWell = exit.code === 0 || (exit.code === undefined && exit.signal === undefined);
  return endedWell ? undefined : errorOfExit(exit);
}

/** How the process ended, with its last words. */
export function errorOfExit(exit: ProcessExit): BangerError {
  const how = exit.signal === undefined ? `exit code ${exit.code ?? "unknown"}` : `signal ${exit.signal}`;
  const words = exit.stderrTail.trim() === "" ? "" : `: ${exit.stderrTail.trim()}`;
  return new BangerError("unavailable", `the hypervisor ended (${how})${words}`);
}
