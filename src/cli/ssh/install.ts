/** Our file, and our line in the user's own configuration of ssh: written aside and renamed, with the mode that was there. */
import {
  closeSync,
  existsSync,
  fchmodSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { dirname } from "node:path";
import { withInclude, withoutInclude } from "./user-config.ts";

export interface ConfigFiles {
  /** The user's own. */
  readonly user: string;
  /** What it includes. */
  readonly ours: string;
}

/** Safe to repeat. */
export function installInclude({ user, ours }: ConfigFiles, text: string): void {
  mkdirSync(dirname(ours), { recursive: true, mode: 0o700 });
  replace(ours, latin1(text));
  mkdirSync(dirname(user), { recursive: true, mode: 0o700 });
  const before = read(user);
  const after = withInclude(before, latin1(ours));
  if (after !== before) replace(user, after);
}

/** Whether there was a line of ours. A file that held nothing else goes. */
export function removeInclude({ user, ours }: ConfigFiles): boolean {
  rmSync(ours, { force: true });
  const before = read(user);
  const after = withoutInclude(before);
  if (after === before) return false;
  if (after === "") rmSync(realpathSync(user));
  else replace(user, after);
  return true;
}

/** Bytes of any encoding come back as they were: one character a byte. */
function read(path: string): string {
  return existsSync(path) ? readFileSync(path, "latin1") : "";
}

function latin1(text: string): string {
  return Buffer.from(text, "utf8").toString("latin1");
}

function replace(path: string, text: string): void {
  // A link, as people who keep such files elsewhere have it, stays one.
  const target = existsSync(path) ? realpathSync(path) : path;
  const mode = existsSync(target) ? statSync(target).mode & 0o7777 : 0o600;
  const aside = `${target}.banger-new`;
  const fd = openSync(aside, "w", mode);
  try {
    writeFileSync(fd, text, "latin1");
    fchmodSync(fd, mode);
    // A crash of the host must not leave the user with an empty file.
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(aside, target);
}
