/** Specs as they stand in the database. */
import { PUBLIC_NETWORK } from "../model/network-policy.ts";
import type { VmSpec } from "../model/spec.ts";

/** Reads what this or an earlier version wrote: one that knew no networks gave guests none, and they get the default. */
export function parseSpec(text: string): VmSpec {
  const spec = JSON.parse(text) as Omit<VmSpec, "network"> & Partial<VmSpec>;
  return { ...spec, network: spec.network ?? PUBLIC_NETWORK };
}
