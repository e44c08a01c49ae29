/** What the environment of this command says of a new VM. It goes after a flag, and before whatever the daemon was started with. */
import type { CreateVm } from "../api/types/vms.ts";
import { readVariable } from "../model/config-lookup.ts";

/** Errors: `invalid_argument`, naming the variable. */
export function vmFromVariables(
  env: Readonly<Record<string, string | undefined>>,
): Pick<CreateVm, "image" | "vcpus" | "memoryMib" | "diskMib"> {
  return {
    image: readVariable("defaultImage", env)?.value,
    vcpus: readVariable("vcpus", env)?.value,
    memoryMib: readVariable("memoryMib", env)?.value,
    diskMib: readVariable("diskMib", env)?.value,
  };
}
