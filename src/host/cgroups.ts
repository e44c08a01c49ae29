/**
 * Groups of processes that the kernel holds to limits, in cgroups of version 1 or 2, whichever the host has (cgroups(7)).
 * A group is named after its VM alone, so that it is found again without any memory of it.
 */
import type { LimitName, Limits } from "../model/limits.ts";
import { settingsOf } from "./cgroup-controls.ts";
import { type CgroupFiles, createCgroupFiles } from "./cgroup-files.ts";
import { findPlaces, type Place, type Places } from "./cgroup-places.ts";
import { removeCgroup } from "./cgroup-removal.ts";
import { findGroups } from "./cgroup-search.ts";

/** What could not be done, one sentence each; what could be done is done. */
export type Problems = readonly string[];

export class Cgroups {
  readonly #files: CgroupFiles;
  #places: Places | undefined;
  #earlier: ReadonlyMap<string, readonly string[]> | undefined;

  /** `files`: default those of this host. */
  constructor(files: CgroupFiles = createCgroupFiles()) {
    this.#files = files;
  }

  /** Where groups are made, and which limits there are none for. Looked for once: this process stays where it is. */
  get places(): Places {
    this.#places ??= findPlaces(this.#files);
    return this.#places;
  }

  /** Makes the group `banger-<id>` with those limits that this host can hold. Never throws; may be repeated. */
  createGroup(id: string, limits: Limits): Problems {
    return this.places.places.flatMap((place) => [
      ...attempt(`${place.parent} does not hand its controllers down`, () => this.#enable(place)),
      ...attempt(`cannot make a group in ${place.parent}`, () =>
        this.#files.makeDirectory(groupIn(place, id)),
      ),
      ...place.limits.flatMap((name) =>
        attempt(`cannot limit ${name} in ${place.parent}`, () => this.#limit(place, id, { name, limits })),
      ),
    ]);
  }

  /**
   * Moves a process, all of its threads, into the group, which exists. Memory it has by then stays charged to the group it
   * came from. Never throws; may be repeated.
   */
  addProcess(id: string, pid: number): Problems {
    return this.places.places.flatMap((place) =>
      attempt(`cannot move process ${pid} into a group of ${place.parent}`, () =>
        this.#files.write(`${groupIn(place, id)}/cgroup.procs`, String(pid)),
      ),
    );
  }

  /**
   * Kills what is left in the VM's groups, waits for its end, and removes them, wherever an earlier daemon made them. Succeeds
   * with nothing there; may be repeated. Errors: `internal` (a process does not end, the kernel refuses).
   */
  async removeGroup(id: string): Promise<void> {
    this.#earlier ??= findGroups(this.#files);
    const own = this.places.places.map((place) => groupIn(place, id));
    const elsewhere = this.#earlier.get(`banger-${id}`) ?? [];
    for (const group of new Set([...own, ...elsewhere])) await removeCgroup(this.#files, group);
  }

  #enable({ parent, enable }: Place): void {
    if (enable.length === 0) return;
    // Another start may have done it meanwhile; repeating it changes nothing.
    this.#files.write(`${parent}/cgroup.subtree_control`, enable.map((name) => `+${name}`).join(" "));
  }

  /** Takes the first way whose files the kernel has; throws what the kernel says. */
  #limit(place: Place, id: string, { name, limits }: { name: LimitName; limits: Limits }): void {
    const group = groupIn(place, id);
    const ways = settingsOf(name, limits, place.version);
    const way = ways.find(([first]) => first !== undefined && this.#files.writable(`${group}/${first.file}`));
    // A kernel without weights: the diagnosis says so, and it is no news at each start.
    if (way === undefined && name === "io") return;
    for (const { file, value } of way ?? ways[0] ?? []) this.#files.write(`${group}/${file}`, value);
  }
}

function groupIn(place: Place, id: string): string {
  return `${place.parent}/banger-${id}`;
}

function attempt(what: string, work: () => void): string[] {
  try {
    work();
    return [];
  } catch (error) {
    return [`${what}: ${(error as Error).message}`];
  }
}
