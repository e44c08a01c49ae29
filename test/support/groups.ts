/** The cgroups of VMs on this host, for tests that look at them. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { createCgroupFiles } from "../../src/host/cgroup-files.ts";
import { findPlaces, type Place } from "../../src/host/cgroup-places.ts";
import type { LimitName } from "../../src/model/limits.ts";

const found = findPlaces(createCgroupFiles());

/** Why no limit holds on this host; undefined when some do. */
export const NO_LIMITS: string | undefined =
  found.places.length > 0 ? undefined : ([...found.absent.values()][0]?.why ?? "there are no cgroups");

/** The limits that hold here. */
export const HELD: readonly LimitName[] = found.places.flatMap((place) => place.limits);

/** The directories of a VM's groups that exist. */
export function groupsOf(id: string): string[] {
  return found.places.map((place) => groupIn(place, id)).filter((group) => existsSync(group));
}

/** The groups that a VM has when it runs here. */
export function groupsExpected(id: string): string[] {
  return found.places.map((place) => groupIn(place, id));
}

/** What a control file of the VM holds; version 1's and version 2's name for it. */
export function controlOf(
  id: string,
  limit: LimitName,
  names: { readonly v1: string; readonly v2: string },
): string {
  const place = found.places.find((one) => one.limits.includes(limit));
  if (place === undefined) throw new Error(`${limit} cannot be limited here`);
  return readFileSync(join(groupIn(place, id), place.version === 1 ? names.v1 : names.v2), "utf8").trim();
}

function groupIn(place: Place, id: string): string {
  return join(place.parent, `banger-${id}`);
}
