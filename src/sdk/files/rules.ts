/** Where a copy goes: Docker's rules for existing directories and trailing slashes (docs/copy-files.md has the table). */
import { BangerError } from "../../model/errors.ts";

/** What a path is; undefined: nothing is there. */
export type Seen = "file" | "directory" | "other";

export interface CopySource {
  readonly path: string;
  readonly seen: Seen;
}

export interface CopyTarget {
  readonly path: string;
  readonly seen: Seen | undefined;
}

/** The archive's top gets this name in this directory; `.`: what is in the source goes there under its own names. */
export interface CopyPlan {
  readonly directory: string;
  readonly name: string;
  /** The directory is the target itself, rather than the one above it. */
  readonly into: boolean;
}

/**
 * Decides. Paths are absolute or relative, with the slashes that the user wrote. Errors: `invalid_argument` for a directory onto a
 * file, a file with a slash behind it, a target directory that is not there.
 */
export function planCopy(source: CopySource, target: CopyTarget): CopyPlan {
  const contents = /(^|\/)\.\/?$/.test(source.path) || /(^|\/)\.\.\/?$/.test(source.path);
  if (source.seen !== "directory" && source.path.endsWith("/")) {
    throw refuse(`${source.path} is no directory`, "leave the slash at its end out");
  }
  if (target.seen === "directory") {
    if (contents) return { directory: target.path, name: ".", into: true };
    const name = baseName(source.path);
    return name === ""
      ? { directory: target.path, name: ".", into: true }
      : { directory: target.path, name, into: true };
  }
  if (target.seen !== undefined) {
    if (source.seen === "directory") {
      throw refuse(`${source.path} is a directory, and ${target.path} is none`, "copy it into a directory");
    }
    if (target.path.endsWith("/"))
      throw refuse(`${target.path} is no directory`, "leave the slash at its end out");
    return above(target.path);
  }
  if (source.seen !== "directory" && target.path.endsWith("/")) {
    throw refuse(
      `the directory ${target.path} is not there`,
      "make it first, or leave the slash at its end out",
    );
  }
  return above(target.path);
}

/** The last component of a path; empty for `/`, `.` and `..`. */
export function baseName(path: string): string {
  const last = path.split("/").findLast((part) => part !== "" && part !== ".") ?? "";
  return last === ".." ? "" : last;
}

function above(path: string): CopyPlan {
  const trimmed = path.replace(/\/+$/, "");
  const slash = trimmed.lastIndexOf("/");
  const name = trimmed.slice(slash + 1);
  if (name === "" || name === "." || name === "..") throw refuse(`${path} names no file`, "give it a name");
  return { directory: slash < 0 ? "." : trimmed.slice(0, slash) || "/", name, into: false };
}

function refuse(message: string, cure: string): BangerError {
  return new BangerError("invalid_argument", message, { cure });
}
