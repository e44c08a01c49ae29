/**
 * A listening Unix socket as a bare descriptor, to be handed to a child: clients can connect from the moment it
 * exists, long before the child has come far enough to accept, so that nobody waits for a socket to appear.
 */
import { closeSync, fchmodSync, lstatSync, unlinkSync } from "node:fs";
import { BangerError } from "../model/errors.ts";
import { bind, listen, socket } from "./libc.ts";

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_CLOEXEC = 0o2000000;
const BACKLOG = 8;

/** `sun_path` holds 108 bytes, the last of them zero (unix(7)). */
export const MAX_SOCKET_PATH_BYTES = 107;

export interface UnixListener extends Disposable {
  readonly path: string;
  /** Close-on-exec in this process; a child that gets it through `stdio` has it open. */
  readonly fd: number;
  /** Closes our descriptor; a child's copy goes on listening. Safe to repeat. */
  [Symbol.dispose](): void;
  /** Closes and removes the name. Safe to repeat. */
  remove(): void;
}

/**
 * Makes a listening stream socket of mode 0600. A socket left at `path` by an earlier process is replaced: the caller
 * knows that nobody serves it any more. The caller closes it. Errors: `invalid_argument` (path too long),
 * `already_exists` (something else has the name), `internal`.
 */
export function createUnixListener(path: string): UnixListener {
  const name = Buffer.from(path);
  if (name.byteLength > MAX_SOCKET_PATH_BYTES) {
    throw new BangerError(
      "invalid_argument",
      `the socket path ${path} has ${name.byteLength} bytes, more than ${MAX_SOCKET_PATH_BYTES}`,
      { cure: "set XDG_RUNTIME_DIR or BANGER_HOME to a shorter directory" },
    );
  }
  removeStale(path);
  const fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  try {
    // bind() gives the new name the mode of the socket's own inode less the umask, so there is no moment at which
    // it has another (net/unix/af_unix.c, unix_bind_bsd).
    fchmodSync(fd, 0o600);
    bind(fd, socketAddress(name));
    listen(fd, BACKLOG);
  } catch (error) {
    closeSync(fd);
    throw new BangerError("internal", `cannot listen on ${path}`, { cause: error });
  }
  return new Listener(path, fd);
}

class Listener implements UnixListener {
  readonly path: string;
  readonly fd: number;
  private open = true;
  private named = true;

  constructor(path: string, fd: number) {
    this.path = path;
    this.fd = fd;
  }

  [Symbol.dispose](): void {
    if (!this.open) return;
    this.open = false;
    closeSync(this.fd);
  }

  remove(): void {
    this[Symbol.dispose]();
    if (!this.named) return;
    this.named = false;
    removeStale(this.path);
  }
}

function socketAddress(name: Buffer): Uint8Array {
  const address = new Uint8Array(2 + name.byteLength + 1);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(name, 2);
  return address;
}

function removeStale(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (found === undefined) return;
  if (!found.isSocket()) throw new BangerError("already_exists", `${path} exists and is not a socket`);
  unlinkSync(path);
}
