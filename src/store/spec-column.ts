/** Specs as they stand in the database. */
import { PUBLIC_NETWORK } from "../model/network-policy.ts";
import type { VmSpec } from "../model/spec.ts";
import { readJson } from "./json-column.ts";

/** Reads what this or an earlier version wrote for `owner`: one that knew no networks gave guests none, and they get the default. Errors: as `readJson`. */
export function parseSpec(text: string, owner: string): VmSpec {
  const spec = readJson(text, `the specification of ${owner}`) as Omit<VmSpec, "network"> & Partial<VmSpec>;
  return { ...spec, network: spec.network ?? PUBLIC_NETWORK };
}
