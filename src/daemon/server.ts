/** The socket server: one Unix socket, HTTP and WebSocket, the user's alone. */
import { rmSync } from "node:fs";
import type { Server, ServerWebSocket } from "bun";
import { MAX_BODY_BYTES } from "../api/paths.ts";
import { runInOperation } from "./operation-id.ts";
import { Router, type SocketData, type SocketSession } from "./router.ts";
import { routeExec } from "./routes/exec.ts";
import { routeGuestStreams } from "./routes/guest-streams.ts";
import { routeHost } from "./routes/host.ts";
import { routeImages } from "./routes/images.ts";
import { routeKernels } from "./routes/kernels.ts";
import { routeLook } from "./routes/look.ts";
import { routeNetwork } from "./routes/network.ts";
import { routeSnapshots } from "./routes/snapshots.ts";
import { routeSsh } from "./routes/ssh.ts";
import { routeTemplates } from "./routes/templates.ts";
import { routeVms } from "./routes/vms.ts";
import { routeVolumes } from "./routes/volumes.ts";
import { routeWorkspaces } from "./routes/workspaces.ts";
import type { Services } from "./services.ts";

/**
 * An operation may be quiet for longer than the server's patience with idle connections, which is 10 s by default. Bun obeys the
 * option on Unix sockets, too, though its types leave it out there; `server.timeout()` it does not.
 */
const PATIENT: object = { idleTimeout: 0 };

/** A message of a client on a WebSocket: one window of stdin, or a command line. */
const MAX_MESSAGE_BYTES = 4 * 1024 * 1024;

/**
 * Listens on `path`; a stale socket there is replaced, so the caller must hold the daemon's lock. The socket is private from
 * its first moment (umask), in a directory that is private too.
 */
export function serve(path: string, services: Services): Server<SocketData> {
  const router = new Router(services.log, services.metrics);
  routeHost(router, services);
  routeVms(router, services);
  routeLook(router, services);
  routeImages(router, services);
  routeKernels(router, services);
  routeVolumes(router, services);
  routeSnapshots(router, services);
  routeSsh(router, services);
  routeTemplates(router, services);
  routeWorkspaces(router, services);
  routeNetwork(router, services);
  routeExec(router, services);
  routeGuestStreams(router, services);
  rmSync(path, { force: true });
  const umask = process.umask(0o177);
  try {
    return Bun.serve<SocketData>({
      unix: path,
      ...PATIENT,
      maxRequestBodySize: MAX_BODY_BYTES * 2,
      fetch: (request, server) => router.fetch(request, server),
      error: (error) => {
        services.log.error({ err: error }, "the server failed to answer");
        return Response.json(
          { error: { code: "internal", message: "the daemon failed to answer" } },
          { status: 500 },
        );
      },
      websocket: {
        maxPayloadLength: MAX_MESSAGE_BYTES,
        idleTimeout: 0,
        perMessageDeflate: false,
        open: (socket) => inOperation(socket, (session) => session.open(socket)),
        message: (socket, data) => inOperation(socket, (session) => session.message(data)),
        drain: (socket) => inOperation(socket, (session) => session.drain?.()),
        close: (socket) => inOperation(socket, (session) => session.close()),
      },
    });
  } finally {
    process.umask(umask);
  }
}

function inOperation({ data }: ServerWebSocket<SocketData>, work: (session: SocketSession) => void): void {
  runInOperation(data.operation, () => work(data.session));
}
