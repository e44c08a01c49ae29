/**
 * The directory that an archive of a guest is unpacked into. Every name is walked from it by descriptors, without following a link,
 * so that none leaves it whatever the guest says: `/proc/self/fd/N/NAME` is openat(2) for a runtime that has none (proc(5)).
 */
import { closeSync, constants, fchmodSync, fchownSync, futimesSync, mkdirSync, openSync } from "node:fs";
import type { Member } from "../../lib/tar/member.ts";
import { BangerError } from "../../model/errors.ts";
import { utimeOf } from "./times.ts";

/** Directories inside each other. */
const MAX_DEPTH = 512;
const DIRECTORY = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW;

/** How members become files of this host. */
export interface UnpackRules {
  /** Owners and set-user-ID bits are kept, as far as this user may. */
  readonly archive: boolean;
}

interface Level {
  readonly name: Buffer;
  readonly fd: number;
  /** What is put on it when it is left, for then nothing changes its time any more. */
  readonly member: Member | undefined;
}

export class Place implements Disposable {
  readonly #path: string;
  readonly #root: number;
  readonly #rules: UnpackRules;
  readonly #levels: Level[] = [];

  /** Opens the destination, which exists. Errors: those of open(2). */
  constructor(path: string, rules: UnpackRules) {
    this.#path = path;
    this.#rules = rules;
    this.#root = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  /** The path by which a member with these components is reached; valid until the next call. Missing directories are made. */
  enter(components: readonly Buffer[]): Buffer {
    const name = components.at(-1);
    if (name === undefined) throw this.refuse(components, "it has no name");
    const parents = components.slice(0, -1);
    this.#leaveTo(parents);
    for (const parent of parents.slice(this.#levels.length)) this.#push(components, parent, undefined);
    return this.#at(name);
  }

  /**
   * The path by which a member that was made before is reached, until it is disposed. The directories that are open stay so: leaving
   * one would be too early for its time.
   */
  find(components: readonly Buffer[]): Disposable & { readonly path: Buffer } {
    const name = components.at(-1);
    if (name === undefined) throw this.refuse(components, "it has no name");
    let fd = openSync(`/proc/self/fd/${this.#root}/.`, DIRECTORY);
    try {
      for (const parent of components.slice(0, -1)) {
        const next = openSync(Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), parent]), DIRECTORY);
        closeSync(fd);
        fd = next;
      }
    } catch (error) {
      closeSync(fd);
      throw this.refuse(components, "its directory is a link, or not there", error);
    }
    const path = Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
    return { path, [Symbol.dispose]: () => closeSync(fd) };
  }

  /** Makes the directory that `member` describes, or takes the one that is there. */
  makeDirectory(components: readonly Buffer[], member: Member): void {
    const name = components.at(-1);
    // The destination itself stays as it is.
    if (name === undefined) return;
    this.enter(components);
    this.#push(components, name, member);
  }

  /** Puts permissions, time and owner on an open file or directory. */
  apply(fd: number, member: Member): void {
    if (this.#rules.archive && process.getuid?.() === 0) fchownSync(fd, member.uid, member.gid);
    fchmodSync(fd, member.mode & (this.#rules.archive ? 0o7777 : 0o1777));
    futimesSync(fd, utimeOf(member.mtime), utimeOf(member.mtime));
  }

  /** Leaves every directory. */
  finish(): void {
    this.#leaveTo([]);
  }

  refuse(components: readonly Buffer[], why: string, cause?: unknown): BangerError {
    const message = `${shownPath(this.#path, components)} cannot be unpacked: ${why}`;
    return new BangerError("failed_precondition", message, cause === undefined ? {} : { cause });
  }

  [Symbol.dispose](): void {
    for (const { fd } of this.#levels.splice(0)) closeSync(fd);
    closeSync(this.#root);
  }

  #push(components: readonly Buffer[], name: Buffer, member: Member | undefined): void {
    if (this.#levels.length >= MAX_DEPTH) throw this.refuse(components, `it is more than ${MAX_DEPTH} deep`);
    const path = this.#at(name);
    try {
      this.#levels.push({ name, fd: openOrMake(path, member === undefined ? 0o777 : 0o700), member });
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== "ELOOP" && code !== "ENOTDIR") throw error;
      throw this.refuse(
        components,
        "a link or a file is in the place of a directory, and is not followed",
        error,
      );
    }
  }

  #at(name: Buffer): Buffer {
    const fd = this.#levels.at(-1)?.fd ?? this.#root;
    return Buffer.concat([Buffer.from(`/proc/self/fd/${fd}/`), name]);
  }

  #leaveTo(parents: readonly Buffer[]): void {
    let same = 0;
    while (same < this.#levels.length && parents[same]?.equals(this.#levels[same]?.name ?? EMPTY) === true)
      same += 1;
    while (this.#levels.length > same) {
      const level = this.#levels.pop();
      if (level === undefined) return;
      try {
        if (level.member !== undefined) this.apply(level.fd, level.member);
      } finally {
        closeSync(level.fd);
      }
    }
  }
}

const EMPTY = Buffer.alloc(0);

function openOrMake(path: Buffer, mode: number): number {
  try {
    return openSync(path, DIRECTORY);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    mkdirSync(path, mode);
    return openSync(path, DIRECTORY);
  }
}

/** The components of a member's name. Errors: `invalid_argument` for one that would leave the destination. */
export function components(name: Buffer): Buffer[] {
  const parts: Buffer[] = [];
  for (let from = 0; from <= name.length; ) {
    const slash = name.indexOf(0x2f, from);
    const end = slash < 0 ? name.length : slash;
    const part = name.subarray(from, end);
    if (part.equals(PARENT) || part.includes(0)) {
      const shown = shownName(name);
      throw new BangerError(
        "invalid_argument",
        `the guest sent a file named ${shown}, which would leave its place`,
      );
    }
    if (part.length > 0 && !part.equals(SELF)) parts.push(Buffer.from(part));
    from = end + 1;
  }
  return parts;
}

const PARENT = Buffer.from([0x2e, 0x2e]);
const SELF = Buffer.from(".");

function shownPath(base: string, parts: readonly Buffer[]): string {
  return [base.replace(/\/$/, ""), ...parts.map(shownName)].join("/");
}

/** A name of any bytes, fit for a terminal. */
export function shownName(name: Buffer | string): string {
  return name.toString().slice(0, 300).replaceAll(CONTROL, "?");
}

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL = /[\u0000-\u001f\u007f-\u009f]/gu;
