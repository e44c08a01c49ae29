/** Clean-up: every capability has its turn even when one throws, and all failures are reported together. */
import { existsSync } from "node:fs";
import { BangerError } from "../model/errors.ts";
import type { VmContext } from "./context.ts";
import { removeHandles } from "./handles.ts";
import { endStrays } from "./strays.ts";

/**
 * Releases everything that belongs to a run of the VM, last capability first; needs no handles and may be repeated. A
 * hypervisor that somebody lost hold of is ended; `endSeen` says that there is none, for the end of the one was seen.
 * Errors: `internal`, with each failure in the message.
 */
export async function cleanupVm(
  ctx: VmContext,
  id: string,
  { endSeen = false }: { readonly endSeen?: boolean } = {},
): Promise<void> {
  const failures: string[] = [];
  // Without these two nothing was ever started. The look at all processes of the host takes milliseconds.
  const started = existsSync(ctx.layout.vmRuntimeDir(id)) || existsSync(ctx.layout.handles(id));
  if (started && !endSeen) await endStrays(id);
  for (const capability of ctx.capabilities.toReversed()) {
    ctx.onStep(`cleanup:${capability.name}`);
    try {
      await capability.cleanup?.({ id });
    } catch (error) {
      failures.push(`${capability.name}: ${BangerError.from(error).message}`);
    }
  }
  if (failures.length > 0) {
    throw new BangerError("internal", `clean-up of the VM ${id} failed: ${failures.join("; ")}`, {
      cure: "repair the cause, then repeat: clean-up is safe to repeat",
    });
  }
  removeHandles(ctx.layout, id);
}
