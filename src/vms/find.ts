/** From what a person typed to a record: name, id, or an unambiguous prefix of an id. */
import { BangerError, type ErrorBody } from "../model/errors.ts";
import { validateVmRef } from "../model/names.ts";
import type { VmRecord } from "../model/vm.ts";
import type { VmContext } from "./context.ts";

/** Errors: `invalid_argument` for something that cannot be a reference or is ambiguous, `not_found`. */
export function findVm(ctx: Pick<VmContext, "store">, ref: string): VmRecord {
  validateVmRef(ref);
  const exact = ctx.store.vms.byName(ref) ?? ctx.store.vms.byId(ref);
  if (exact !== undefined) return exact;
  const [first, second] = /^[0-9a-f]{1,12}$/.test(ref) ? ctx.store.vms.byIdPrefix(ref) : [];
  if (first !== undefined && second !== undefined) {
    throw new BangerError("invalid_argument", `the id prefix ${ref} fits several VMs`, {
      cure: "give more of the id, or the name",
    });
  }
  if (first !== undefined) return first;
  throw new BangerError("not_found", `there is no VM ${ref}`, { cure: "list the VMs with: banger ps -a" });
}

/**
 * The record as the holder of the VM's lock finds it. Nothing is under way then: a state that says otherwise, or that something
 * lives where nothing does, is from an operation whose last write failed (disk full, database locked), and counts as `error`.
 * Errors: `not_found` when the VM was removed meanwhile.
 */
export function currentVm(ctx: Pick<VmContext, "store" | "live">, id: string): VmRecord {
  const record = ctx.store.vms.byId(id);
  if (record === undefined) throw new BangerError("not_found", `the VM ${id} was removed meanwhile`);
  return isTrue(ctx, record) ? record : { ...record, state: "error", lastError: LOST_WRITE };
}

/** The record as somebody sees it who holds no lock: as it is while an operation is under way, else as `currentVm` has it. */
export function shownVm(ctx: Pick<VmContext, "locks" | "live">, record: VmRecord): VmRecord {
  if (isTrue(ctx, record) || ctx.locks.isHeld(record.id)) return record;
  return { ...record, state: "error", lastError: LOST_WRITE };
}

const LOST_WRITE: ErrorBody = new BangerError(
  "internal",
  "the outcome of the last operation could not be written down (the disk may be full)",
  { cure: "make room, then use the VM as before: every verb finds out what is true" },
).toBody();

function isTrue(ctx: Pick<VmContext, "live">, { id, state }: VmRecord): boolean {
  const isUp = state === "running" || state === "paused";
  return state === "stopped" || state === "error" || (isUp && ctx.live.has(id));
}
