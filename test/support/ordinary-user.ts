/**
 * An ordinary user of this host for a test that root runs: without privileges, and with a /dev/net/tun of its own, by default one that
 * everybody may open, as distributions have it. Nothing of it is seen outside of a mount namespace of its own.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative } from "node:path";
import { NO_WORLD } from "../network/world.ts";
import { killToTheEnd } from "./processes.ts";

const ROOT = join(import.meta.dir, "../..");
/** Nobody has it. */
export const ORDINARY_UID = 61_234;

/** Why there can be none here. */
export const NO_USER: string | undefined = NO_WORLD ?? closedCheckout();
if (NO_WORLD === undefined && NO_USER !== undefined) console.warn(`skipped: ordinary users: ${NO_USER}`);

/** Whether a process is that user's. */
export function isUser(uid: number): boolean {
  return uid === ORDINARY_UID;
}

export interface OrdinaryUser extends AsyncDisposable {
  /** Runs banger as that user. */
  readonly program: string;
  /** The words before those of a command of that user. */
  readonly enter: readonly string[];
  /** Where that user sees a file of this checkout. */
  seen(path: string): string;
}

export interface OrdinaryUserOptions {
  /** A program that others may run; default: bin/banger of this checkout. */
  readonly program?: string;
  /** The permissions of /dev/net/tun, which is root's; default: everybody may open it. */
  readonly tunMode?: "666" | "600";
}

/** The checkout is seen from a place of its own, wherever it is: the directories above it may be closed to others. */
const SET_UP = `
mount -t tmpfs -o mode=755 none "$1"
mkdir "$1/checkout"
mount --bind "$2" "$1/checkout"
mknod "$1/tun" c 10 200
chmod "$3" "$1/tun"
mount --bind "$1/tun" /dev/net/tun
echo ready
exec sleep infinity
`;

/** Disposing ends what keeps the mounts; the user's own processes are to be gone by then. */
export async function createOrdinaryUser(options: OrdinaryUserOptions = {}): Promise<OrdinaryUser> {
  await using undo = new AsyncDisposableStack();
  const dir = undo.adopt(mkdtempSync(join(tmpdir(), "banger-user-")), (made) =>
    rmSync(made, { recursive: true }),
  );
  chmodSync(dir, 0o755);
  const place = undo.adopt(mkdtempSync(join(tmpdir(), "banger-user-")), (made) =>
    rmSync(made, { recursive: true }),
  );
  const child = spawn(
    "unshare",
    [
      "--mount",
      "--propagation",
      "private",
      "--",
      "sh",
      "-euc",
      SET_UP,
      "sh",
      place,
      ROOT,
      options.tunMode ?? "666",
    ],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  undo.defer(() => killToTheEnd(child.pid));
  const ended = once(child, "exit").then(([code]: (number | null)[]) => {
    throw new Error(`the mounts of an ordinary user could not be made: exit code ${code}`);
  });
  await Promise.race([once(child.stdout, "data"), ended]);
  ended.catch(() => undefined);
  const program = join(dir, "banger");
  const seen = (path: string): string =>
    join(place, "checkout", relative(realpathSync(ROOT), realpathSync(path)));
  const ids = ["--reuid", String(ORDINARY_UID), "--regid", String(ORDINARY_UID), "--clear-groups"];
  const enter = ["nsenter", `--mount=/proc/${child.pid}/ns/mnt`, "--", "env", "HOME=/", "setpriv", ...ids];
  const runs = options.program ?? seen(join(ROOT, "bin/banger"));
  writeFileSync(program, `#!/bin/sh\nexec ${enter.join(" ")} "${runs}" "$@"\n`);
  chmodSync(program, 0o755);
  const held = undo.move();
  return { program, enter, seen, [Symbol.asyncDispose]: () => held.disposeAsync() };
}

/** Others have to be able to run what is in it, all of which has to be in it. */
function closedCheckout(): string | undefined {
  const root = realpathSync(ROOT);
  for (const name of ["bin/banger", "src/main.ts", "node_modules/.bin/bun"]) {
    const path = realpathSync(join(root, name));
    if (!path.startsWith(`${root}/`)) return `${name} leads out of the checkout`;
    if ((statSync(path).mode & 0o004) === 0) return `others may not read ${name}`;
  }
  return undefined;
}
