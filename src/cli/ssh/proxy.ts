/**
 * `ssh-proxy`: an SSH server on this process's stdin and stdout, for one client, which ssh starts as its ProxyCommand. What the client
 * asks for becomes commands and connections of the guest, on the agent's channel: the image needs no sshd, and the VM no network.
 */
import { Duplex } from "node:stream";
import ssh2, { type AuthContext, type Connection, type ServerConfig } from "ssh2";
import { BangerError } from "../../model/errors.ts";
import { SSH_SUFFIX, type SshDoor } from "../../model/ssh.ts";
import type { Client } from "../../sdk/client.ts";
import { serveSession } from "./session.ts";
import { serveForwards } from "./tunnels.ts";

/** A client that has not said who it is by then. */
const AUTHENTICATION_MS = 60_000;

/** What sessions of one client have in common. */
export interface SshGuest {
  readonly client: Client;
  readonly vm: string;
  /** Who commands run as. */
  readonly user: string;
}

/** `NAME.vm`, and the bare name. */
export function vmOfHost(host: string): string {
  return host.endsWith(SSH_SUFFIX) ? host.slice(0, -SSH_SUFFIX.length) : host;
}

/** Serves until the client goes. Errors: those of the daemon, before a byte was said; `guest_error` when the client breaks the protocol. */
export async function serveSsh(client: Client, vm: string): Promise<void> {
  const door = await client.sshDoor(vm);
  const ended = Promise.withResolvers<void>();
  // The types leave out what a server is called without: it does not listen here.
  const options: ServerConfig = { hostKeys: [door.hostKey], ident: "banger" };
  const server = new ssh2.Server(options, (connection) => {
    serveConnection(connection, { client, door });
    connection.on("close", () => ended.resolve());
    connection.on("error", (error) => {
      // A client that has what it wanted may just go.
      const gone = "code" in error && (error.code === "ECONNRESET" || error.code === "EPIPE");
      if (gone) ended.resolve();
      else ended.reject(new BangerError("guest_error", `the ssh client: ${error.message}`, { cause: error }));
    });
  });
  const pipe = stdio();
  pipe.on("close", () => ended.resolve());
  server.injectSocket(pipe as never);
  await ended.promise;
}

function serveConnection(
  connection: Connection,
  { client, door }: { readonly client: Client; readonly door: SshDoor },
): void {
  let user = "root";
  const late = setTimeout(() => connection.end(), AUTHENTICATION_MS);
  connection.on("close", () => clearTimeout(late));
  connection.on("authentication", (attempt) => {
    if (!isOwner(attempt, door)) return attempt.reject(["publickey"]);
    user = attempt.username;
    attempt.accept();
  });
  connection.on("ready", () => {
    clearTimeout(late);
    // A reference by id: the VM that was meant stays the same, whatever it is called meanwhile.
    const guest: SshGuest = { client, vm: door.id, user };
    connection.on("session", (accept) => serveSession(accept(), guest));
    serveForwards(connection, guest);
  });
}

/** Whether the client has banger's own key, and says so with a signature where it must. */
function isOwner(attempt: AuthContext, { publicKey }: SshDoor): boolean {
  if (attempt.method !== "publickey") return false;
  const known = ssh2.utils.parseKey(publicKey);
  if (known instanceof Error || attempt.key.algo !== known.type) return false;
  if (!known.getPublicSSH().equals(attempt.key.data)) return false;
  if (attempt.signature === undefined || attempt.blob === undefined) return true;
  // oxlint-disable-next-line typescript/no-unnecessary-boolean-literal-compare -- it answers an Error, too, which the types leave out
  return known.verify(attempt.blob, attempt.signature, attempt.hashAlgo) === true;
}

/** stdin and stdout as one stream, each at the pace of its other end. */
function stdio(): Duplex {
  const pipe = new Duplex({
    allowHalfOpen: false,
    read: () => void process.stdin.resume(),
    write: (chunk: Uint8Array, _, done) => {
      process.stdout.write(chunk, (error) => done(error ?? null));
    },
  });
  process.stdin.on("data", (chunk) => {
    if (!pipe.push(chunk)) process.stdin.pause();
  });
  process.stdin.on("end", () => void pipe.push(null));
  for (const stream of [process.stdin, process.stdout]) stream.on("error", (error) => pipe.destroy(error));
  return pipe;
}
