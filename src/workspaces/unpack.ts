/**
 * Files of a guest's work tree go into a fresh directory of the host. The guest chooses names and contents, and neither may get
 * anywhere else: every directory was made here, and none of them is a link.
 */
import { closeSync, lstatSync, mkdirSync, openSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { TarReader } from "../lib/tar/reader.ts";
import { BangerError } from "../model/errors.ts";
import { isName, pathOf, shown } from "./names.ts";

/** Bytes of files that one command takes from a guest. */
export const MAX_BYTES: number = 16 * 2 ** 30;

export interface Budget {
  left: number;
}

/** Unpacks files and links; `wanted`: names (latin1) that were asked for. Returns the names (latin1) that came. */
export async function unpackFiles(
  archive: AsyncIterable<Uint8Array>,
  directory: string,
  { wanted, budget }: { readonly wanted: ReadonlySet<string>; readonly budget: Budget },
): Promise<string[]> {
  const reader = new TarReader(archive);
  const directories = new Set<string>();
  const came: string[] = [];
  for (let member = await reader.next(); member !== undefined; member = await reader.next()) {
    const key = member.name.toString("latin1");
    // A directory stands now where a file was, or the guest sends what nobody asked for.
    if (!wanted.has(key) || !isName(member.name)) continue;
    const path = pathOf(directory, member.name);
    if (!makeParents(directory, member.name, directories)) continue;
    rmSync(path, { force: true });
    if (member.kind === "symlink") symlinkSync(member.link, path);
    else if (member.kind === "file" && member.sparse === undefined) {
      await writeContent(reader, path, { executable: (member.mode & 0o100) !== 0, budget });
    } else if (member.kind === "file" || member.kind === "hardlink") throw unsupported(member.name);
    else continue;
    came.push(key);
  }
  return came;
}

async function writeContent(
  reader: TarReader,
  path: Buffer,
  { executable, budget }: { readonly executable: boolean; readonly budget: Budget },
): Promise<void> {
  const fd = openSync(path, "wx", executable ? 0o700 : 0o600);
  try {
    for (let piece = await reader.content(); piece !== undefined; piece = await reader.content()) {
      budget.left -= piece.length;
      if (budget.left < 0) {
        throw new BangerError(
          "resource_exhausted",
          `the guest's changes have more than ${MAX_BYTES / 2 ** 30} GiB`,
          {
            cure: "leave large files out with .gitignore, and copy them with: banger cp",
          },
        );
      }
      // All of it, or an error: writeSync may write a part (write(2)).
      writeFileSync(fd, piece);
    }
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes the directories above a name; `made` remembers (latin1). False when something of the guest's stands in the way: a name that is a
 * file, or a link, and a directory.
 */
export function makeParents(directory: string, name: Buffer, made: Set<string>): boolean {
  for (let at = name.indexOf(0x2f); at >= 0; at = name.indexOf(0x2f, at + 1)) {
    const parent = name.subarray(0, at);
    const key = parent.toString("latin1");
    if (made.has(key)) continue;
    const path = pathOf(directory, parent);
    const there = lstatSync(path, { throwIfNoEntry: false });
    if (there !== undefined && !there.isDirectory()) return false;
    if (there === undefined) mkdirSync(path, { mode: 0o700 });
    made.add(key);
  }
  return true;
}

function unsupported(name: Buffer): BangerError {
  return new BangerError(
    "unsupported",
    `${shown(name)} in the guest has holes, or several names, and cannot be in a patch`,
    {
      cure: "copy it with: banger cp; and leave it out of the workspace with .gitignore",
    },
  );
}
