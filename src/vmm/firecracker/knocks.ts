/**
 * The guest's knock: as soon as its agent listens on vsock, it connects once to the host's port of the same number, which
 * Firecracker turns into a connection to `<socket>_<port>` (Firecracker's docs/vsock.md). Whoever was refused before,
 * because nobody listened yet, then tries again; so nobody has to try every few milliseconds.
 */
import { chmodSync, closeSync, constants, lchownSync, openSync, rmSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { basename, dirname } from "node:path";
import { BangerError } from "../../model/errors.ts";

export interface Knocks extends Disposable {
  /** How often the guest has knocked, or somebody said that it may be worth trying again. */
  readonly count: number;
  /** Resolves as soon as `count` is above `seen`. */
  after(seen: number): Promise<void>;
  /** Counts as a knock. */
  nudge(): void;
}

/** Knocks that only `nudge` makes: for a guest whose agent has been listening for long. */
export function createKnocks(): Knocks {
  return new Counter();
}

/** Listens at `path`, which is made, with mode 0600, for `owner`; disposing removes it. Errors: `unavailable`. */
export async function listenForKnocks(
  path: string,
  owner?: { readonly uid: number; readonly gid: number },
): Promise<Knocks> {
  rmSync(path, { force: true });
  // By way of the directory's descriptor, because a path in a jail may be longer than an address (unix(7)).
  const directory = openSync(dirname(path), constants.O_DIRECTORY);
  const counter = new Counter();
  const server = createServer((socket) => {
    socket.on("error", () => undefined); // A knock says all it has to say by coming.
    socket.destroy();
    counter.nudge();
  });
  server.unref();
  await listening(server, `/proc/self/fd/${directory}/${basename(path)}`).catch((cause: unknown) => {
    closeSync(directory);
    throw new BangerError("unavailable", `cannot listen on ${path}`, { cause });
  });
  chmodSync(path, 0o600);
  if (owner !== undefined) lchownSync(path, owner.uid, owner.gid);
  let open = true;
  return {
    get count() {
      return counter.count;
    },
    after: (seen) => counter.after(seen),
    nudge: () => counter.nudge(),
    [Symbol.dispose]() {
      if (!open) return;
      open = false;
      rmSync(path, { force: true });
      // The server removes its name itself, by the descriptor, which must mean the same until then.
      server.close(() => closeSync(directory));
    },
  };
}

class Counter implements Knocks {
  count = 0;
  private next = Promise.withResolvers<void>();

  async after(seen: number): Promise<void> {
    while (this.count <= seen) await this.next.promise;
  }

  nudge(): void {
    this.count += 1;
    this.next.resolve();
    this.next = Promise.withResolvers<void>();
  }

  [Symbol.dispose](): void {
    // Nothing is held.
  }
}

async function listening(server: Server, path: string): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(path, resolve);
  });
}
