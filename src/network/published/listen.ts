/** Taking a port of this host. */
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { once } from "node:events";
import { createServer, type Server, type Socket } from "node:net";
import { BangerError } from "../../model/errors.ts";
import { formatHostPort, type PublishedPort } from "../../model/published-port.ts";

/** Listens; whoever comes is handed over paused. Errors: as `refused`. */
export async function listenTcp(port: PublishedPort, onSocket: (socket: Socket) => void): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true, noDelay: true }, onSocket);
  return await bound(server, port, () =>
    // The two families are two ports.
    server.listen({ host: port.address, port: port.hostPort, ipv6Only: true }),
  );
}

/** Errors: as `refused`. */
export async function bindUdp(port: PublishedPort): Promise<UdpSocket> {
  const isV6 = port.address.includes(":");
  const socket = createSocket({ type: isV6 ? "udp6" : "udp4", ipv6Only: isV6 });
  return await bound(socket, port, () => socket.bind(port.hostPort, port.address));
}

/** Takes a port and lets it go: the port that it got. Errors: as `refused`. */
export async function probePort(port: PublishedPort): Promise<PublishedPort> {
  const socket =
    port.protocol === "tcp" ? await listenTcp(port, (one) => one.destroy()) : await bindUdp(port);
  const address = socket.address();
  const hostPort = typeof address === "object" && address !== null ? address.port : port.hostPort;
  const closed = once(socket, "close");
  socket.close();
  await closed;
  return { ...port, hostPort };
}

async function bound<T extends Server | UdpSocket>(
  socket: T,
  port: PublishedPort,
  bind: () => unknown,
): Promise<T> {
  const listening = Promise.withResolvers<void>();
  const onError = (error: Error): void => listening.reject(refused(error, port));
  socket.once("error", onError).once("listening", () => listening.resolve());
  try {
    bind();
    await listening.promise;
  } catch (error) {
    // It never got to listen; one that did is closed by its owner.
    socket.on("error", () => undefined);
    throw error instanceof BangerError ? error : refused(error, port);
  }
  socket.off("error", onError);
  return socket;
}

/** `already_exists` for a port in use, `permission_denied`, `invalid_argument` for an address of another host. */
function refused(cause: unknown, port: PublishedPort): BangerError {
  const code = cause instanceof Error && "code" in cause ? String(cause.code) : "unknown";
  const what = `cannot publish ${formatHostPort(port)}`;
  const details = { field: "publish" };
  switch (code) {
    case "EADDRINUSE":
      return new BangerError("already_exists", `${what}: another program of this host uses it`, {
        cure: `end that program, or publish another port; 0 takes a free one (0:${port.guestPort})`,
        details,
        cause,
      });
    case "EACCES":
      return new BangerError("permission_denied", `${what}: this user may not listen there`, {
        cure: "choose a port from 1024 on",
        details,
        cause,
      });
    case "EADDRNOTAVAIL":
      return new BangerError("invalid_argument", `${what}: the address is not this host's`, {
        cure: "list this host's addresses with: ip address",
        details,
        cause,
      });
    default:
      return new BangerError("unavailable", `${what}: ${code}`, { details, cause });
  }
}
