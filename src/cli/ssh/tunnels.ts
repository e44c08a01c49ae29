/** Connections that an SSH client carries: to ports and sockets of the guest (-L, -D, -W), and from them (-R). */
import type { Connection, ServerChannel } from "ssh2";
import type { GuestEndpoint } from "../../model/guest-stream.ts";
import type { GuestStream } from "../../sdk/guest-stream.ts";
import type { SshGuest } from "./proxy.ts";
import { pump } from "./pump.ts";

/** Listeners that one client may have in the guest. */
const MAX_LISTENERS = 64;

/** Answers what the client asks about connections, until it goes. */
export function serveForwards(connection: Connection, guest: SshGuest): void {
  const files = guest.client.files(guest.vm);
  connection.on("tcpip", (accept, _, { destIP, destPort }) => {
    carry(accept(), files.open({ type: "dial", ...endpoint(destIP, destPort) }));
  });
  connection.on("openssh.streamlocal", (accept, reject, { socketPath }) => {
    if (socketPath.startsWith("/")) carry(accept(), files.open({ type: "dial", unix: socketPath }));
    else reject();
  });
  const listeners = new Map<GuestStream, string>();
  connection.on("close", () => {
    for (const listener of listeners.keys()) listener.cancel();
  });
  connection.on("request", (accept, reject, asked: string, info) => {
    const wish = info as Partial<ListenWish>;
    const known = [...listeners].find(([, key]) => key === keyOf(wish))?.[0];
    if (asked === "cancel-tcpip-forward" || asked === "cancel-streamlocal-forward@openssh.com") {
      known?.cancel();
      return known === undefined ? reject?.() : accept?.();
    }
    if (listeners.size >= MAX_LISTENERS || known !== undefined) return reject?.();
    const { stream, port } = listen(connection, guest, wish);
    // One that asked for any port has no name until it has one.
    listeners.set(stream, wish.bindPort === 0 ? "" : keyOf(wish));
    port.then(
      (bindPort) => {
        listeners.set(stream, keyOf({ ...wish, bindPort }));
        accept?.(wish.bindPort === 0 ? bindPort : undefined);
      },
      () => reject?.(),
    );
    const forget = (): void => void listeners.delete(stream);
    stream.result.then(forget, forget);
    return undefined;
  });
}

/** Listens in the guest, and opens a channel to the client for each who comes. `port`: where; rejects when it cannot be. */
function listen(
  connection: Connection,
  { client, vm, user }: SshGuest,
  { bindAddr = "", bindPort = 0, socketPath }: Partial<ListenWish>,
): { readonly stream: GuestStream; readonly port: Promise<number> } {
  const files = client.files(vm);
  const listening = Promise.withResolvers<number>();
  let port = bindPort;
  const where = socketPath === undefined ? endpoint(bindAddr, bindPort) : { unix: socketPath, owner: user };
  const stream = files.open(
    { type: "listen", ...where },
    {
      onMessage: (message) => {
        if ("listening" in message) {
          if (bindPort === 0) port = message.listening.port;
          listening.resolve(port);
        }
        if (!("accepted" in message)) return;
        const accepted = files.open({ type: "accept", id: message.accepted.id });
        openBack(connection, socketPath ?? { address: bindAddr, port }).then(
          (channel) => carry(channel, accepted),
          // The client takes no more connections.
          () => accepted.cancel(),
        );
      },
    },
  );
  stream.result.catch(listening.reject);
  return { stream, port: listening.promise };
}

interface ListenWish {
  readonly bindAddr: string;
  readonly bindPort: number;
  readonly socketPath: string;
}

/** What a listener is called when it is to end. */
function keyOf({ bindAddr = "", bindPort = 0, socketPath }: Partial<ListenWish>): string {
  return socketPath ?? `${bindAddr}:${bindPort}`;
}

/** Names of the loopback are the guest's own; `*` and the empty one are all of its addresses. */
function endpoint(host: string, port: number): GuestEndpoint {
  if (host === "localhost") return { port };
  if (host === "" || host === "*") return { address: "0.0.0.0", port };
  return { address: host, port };
}

async function openBack(
  connection: Connection,
  from: string | { readonly address: string; readonly port: number },
): Promise<ServerChannel> {
  return await new Promise((resolve, reject) => {
    const done = (error: Error | undefined, channel: ServerChannel): void => {
      if (error === undefined || error === null) resolve(channel);
      else reject(error);
    };
    if (typeof from === "string") connection.openssh_forwardOutStreamLocal(from, done);
    else connection.forwardOut(from.address, from.port, "127.0.0.1", 0, done);
  });
}

/** Joins a channel and a stream of the guest until both are over; each end is closed by itself. */
function carry(channel: ServerChannel, stream: GuestStream): void {
  const sink = {
    take: async (bytes: Uint8Array) => await stream.write(bytes),
    end: async () => await stream.end(),
  };
  pump(channel, sink, () => stream.cancel());
  channel.on("close", () => stream.cancel());
  const back = (async () => {
    for await (const bytes of stream.data()) {
      await new Promise<void>((resolve) => {
        channel.write(bytes, () => resolve());
      });
    }
    channel.end();
    await stream.result;
  })();
  // Nobody there, or gone: the client sees that its connection is closed.
  back.catch(() => channel.destroy());
}
