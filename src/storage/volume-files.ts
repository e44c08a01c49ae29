/** The names of volumes' files: `ID.ext4` for one that has a record, `ID.ext4.unrecorded` for one that has none yet, or none any more. */
import { existsSync, readdirSync, renameSync } from "node:fs";
import { syncDirectory } from "../lib/unrecorded.ts";

export interface VolumePlaces {
  /** The file of a volume that has a record. */
  readonly path: (id: string) => string;
  readonly directory: string;
}

const FILE = /^([0-9a-f]{12})\.ext4(\.unrecorded)?$/;

export class VolumeFiles {
  readonly #places: VolumePlaces;

  constructor(places: VolumePlaces) {
    this.#places = places;
  }

  /** Where it is while it has no record. */
  unrecorded(id: string): string {
    return `${this.#places.path(id)}.unrecorded`;
  }

  /** Gives a file its own name; it has a record. On disk when it returns. One that is not there, or has that name, is well. */
  recorded(id: string): void {
    const path = this.#places.path(id);
    // A rename would replace what is there.
    if (!existsSync(path)) this.#rename(this.unrecorded(id), path);
  }

  /** Takes a file its own name; its record is about to go. On disk when it returns. One that is not there is well. */
  givenUp(id: string): void {
    this.#rename(this.#places.path(id), this.unrecorded(id));
  }

  /** Volumes whose file has its own name. */
  ids(): string[] {
    return this.#find(false);
  }

  /** Volumes whose file has the other name. */
  unrecordedIds(): string[] {
    return this.#find(true);
  }

  #find(isUnrecorded: boolean): string[] {
    return readdirSync(this.#places.directory).flatMap((name) => {
      const [, id, mark] = FILE.exec(name) ?? [];
      return id !== undefined && (mark !== undefined) === isUnrecorded ? [id] : [];
    });
  }

  #rename(from: string, to: string): void {
    try {
      renameSync(from, to);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return;
      throw error;
    }
    syncDirectory(this.#places.directory);
  }
}
