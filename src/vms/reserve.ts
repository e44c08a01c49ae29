/** Claiming a name and an address for a record, when clones of the warm pool have addresses, too. */
import { nextAddress } from "../model/addresses.ts";
import { BangerError } from "../model/errors.ts";
import type { VmRecord } from "../model/vm.ts";
import type { ChooseRecord } from "../store/vms.ts";
import type { VmContext } from "./context.ts";

/** As `store.vms.reserve`; clones of the warm pool give way to a VM that finds no address. */
export async function reserveVm(
  ctx: VmContext,
  kind: Pick<VmRecord, "ephemeral">,
  choose: ChooseRecord,
): Promise<VmRecord> {
  try {
    return ctx.store.vms.reserve(kind, choose);
  } catch (thrown) {
    if (ctx.pool.addresses.size === 0 || BangerError.from(thrown).code !== "resource_exhausted") throw thrown;
    await ctx.pool.drain();
    return ctx.store.vms.reserve(kind, choose);
  }
}

/** The lowest that neither a VM nor a clone of the warm pool has. Errors: `resource_exhausted`. */
export function freeAddress(ctx: VmContext, used: ReadonlySet<string>): string {
  return nextAddress(ctx.defaults.addressPool, used.union(ctx.pool.addresses));
}
