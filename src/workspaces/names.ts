/** Names of files in work trees: bytes, relative, and nothing that leads out of the tree or into a `.git`. */
import { lstatSync } from "node:fs";
import { BangerError } from "../model/errors.ts";

export const EMPTY: Buffer = Buffer.alloc(0);
const SLASH = Buffer.from("/");
const MAX_NAME = 4095;

/** Errors: `invalid_argument` for a name that no work tree can have. */
export function demandName(name: Buffer, tree: string): Buffer {
  if (isName(name)) return name;
  throw new BangerError(
    "invalid_argument",
    `${tree} has a file named ${shown(name)}, which cannot be in a work tree`,
    {
      details: { path: tree },
    },
  );
}

/** Whether a name can be in a work tree. */
export function isName(name: Buffer): boolean {
  if (name.length === 0 || name.length > MAX_NAME || name.includes(0)) return false;
  return name
    .toString("latin1")
    .split("/")
    .every((part) => part !== "" && part !== "." && part !== ".." && part.toLowerCase() !== ".git");
}

export function pathOf(directory: string | Buffer, name: Buffer): Buffer {
  return Buffer.concat([Buffer.from(directory), SLASH, name]);
}

/** Whether one of the directories on the way is a link, or no directory: then git takes the file as gone. `seen` remembers. */
export function isBelowLink(top: string | Buffer, name: Buffer, seen: Map<string, boolean>): boolean {
  for (let at = name.indexOf(0x2f); at >= 0; at = name.indexOf(0x2f, at + 1)) {
    const directory = name.subarray(0, at);
    const key = directory.toString("latin1");
    const known = seen.get(key);
    const bad = known ?? lstatSync(pathOf(top, directory), { throwIfNoEntry: false })?.isDirectory() !== true;
    seen.set(key, bad);
    if (bad) return true;
  }
  return false;
}

/** For people: as git quotes it. */
export function shown(name: Buffer): string {
  const text = name.toString("utf8");
  const isPlain = Buffer.from(text).equals(name) && !/[\p{Cc}"\\]/u.test(text);
  if (isPlain) return text;
  let quoted = "";
  for (const byte of name) {
    if (byte === 0x22 || byte === 0x5c) quoted += `\\${String.fromCharCode(byte)}`;
    else if (byte === 0x0a) quoted += "\\n";
    else if (byte === 0x09) quoted += "\\t";
    else if (byte < 0x20 || byte >= 0x7f) quoted += `\\${byte.toString(8).padStart(3, "0")}`;
    else quoted += String.fromCharCode(byte);
  }
  return `"${quoted}"`;
}
