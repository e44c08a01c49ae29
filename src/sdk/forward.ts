/** Connections carried between this host and a guest, both ways; each end is closed by itself and slowed by the other. */

import { createConnection, createServer, type Server, type Socket } from "node:net";
import { createDeferred } from "../lib/deferred.ts";
import { BangerError } from "../model/errors.ts";
import type { GuestEndpoint } from "../model/guest-stream.ts";
import type { GuestFiles } from "./files/guest-files.ts";
import type { GuestStream } from "./guest-stream.ts";

export interface Forward extends AsyncDisposable {
  /** The TCP port that is listened on. */
  readonly port: number;
  /** Rejects when it can go on no more; never resolves. */
  readonly failed: Promise<never>;
}

/** Where is connected to on this host: a port, or a Unix socket. */
export type HostTarget = { readonly host: string; readonly port: number } | { readonly path: string };

export interface ForwardOptions {
  /** Hears of connections that could not be made or broke. */
  readonly onProblem?: ((error: BangerError) => void) | undefined;
}

/**
 * Listens on this host, and connects in the guest for whoever comes. Disposing ends the connections, too. Errors: `already_exists` for
 * a port that is taken, `permission_denied`.
 */
export async function forwardToGuest(
  guest: GuestFiles,
  listen: { readonly host: string; readonly port: number },
  { target, onProblem }: ForwardOptions & { readonly target: GuestEndpoint },
): Promise<Forward> {
  const sockets = new Set<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    track(sockets, socket);
    carry(socket, guest.open({ type: "dial", ...target }), onProblem);
  });
  await listening(server, listen);
  const address = server.address();
  const failure = createDeferred<never>();
  failure.promise.catch(() => undefined);
  server.on("error", (error) => failure.reject(BangerError.from(error)));
  return {
    port: typeof address === "object" && address !== null ? address.port : listen.port,
    failed: failure.promise,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

/** Listens in the guest, and connects on this host for whoever comes. Errors: `failed_precondition` for a port that is taken there. */
export async function forwardFromGuest(
  guest: GuestFiles,
  listen: GuestEndpoint,
  { target, onProblem }: ForwardOptions & { readonly target: HostTarget },
): Promise<Forward> {
  const sockets = new Set<Socket>();
  const ready = createDeferred<number>();
  const stream = guest.open(
    { type: "listen", ...listen },
    {
      onMessage: (message) => {
        if ("listening" in message) ready.resolve(message.listening.port);
        if (!("accepted" in message)) return;
        const socket = createConnection({ ...target, allowHalfOpen: true });
        track(sockets, socket);
        carry(socket.pause(), guest.open({ type: "accept", id: message.accepted.id }), onProblem);
      },
    },
  );
  const failed = stream.result.then((): never => {
    throw new BangerError("guest_error", "the guest stopped to listen");
  });
  failed.catch(() => undefined);
  const port = await Promise.race([ready.promise, failed]);
  return {
    port,
    failed,
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await stream[Symbol.asyncDispose]();
    },
  };
}

function track(sockets: Set<Socket>, socket: Socket): void {
  sockets.add(socket);
  socket.once("close", () => sockets.delete(socket));
}

/** Joins a socket, which is paused, and a stream until both are over. */
function carry(socket: Socket, stream: GuestStream, onProblem: ForwardOptions["onProblem"]): void {
  let sent: Promise<void> = Promise.resolve();
  socket.on("data", (bytes: Uint8Array) => {
    socket.pause();
    sent = sent.then(async () => await stream.write(bytes)).then(() => void socket.resume());
  });
  let heardAll = false;
  socket.on("end", () => {
    heardAll = true;
    void sent.then(async () => await stream.end());
  });
  let problem: BangerError | undefined;
  socket.on("error", (error) => {
    problem ??= new BangerError("unavailable", `a connection broke: ${error.message}`, { cause: error });
  });
  socket.on("close", () => {
    // Both sides have ended: what was heard last may still be on its way into the guest, which then ends the stream.
    const ended = heardAll && socket.writableFinished && problem === undefined;
    if (!ended) stream.cancel();
    if (problem !== undefined) onProblem?.(problem);
  });
  socket.resume();
  receive(socket, stream).catch((thrown: unknown) => {
    const error = BangerError.from(thrown);
    if (!socket.destroyed && error.code !== "cancelled") problem ??= error;
    socket.destroy();
  });
}

async function receive(socket: Socket, stream: GuestStream): Promise<void> {
  for await (const bytes of stream.data()) {
    if (!socket.write(bytes)) await drained(socket);
  }
  socket.end();
  await stream.result;
}

async function drained(socket: Socket): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = (): void => {
      socket.off("drain", done).off("close", done);
      resolve();
    };
    socket.on("drain", done).on("close", done);
  });
}

async function listening(
  server: Server,
  where: { readonly host: string; readonly port: number },
): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const taken = error.code === "EADDRINUSE";
      const message = `cannot listen on ${where.host}:${where.port}: ${taken ? "it is taken" : error.message}`;
      const code = taken ? "already_exists" : error.code === "EACCES" ? "permission_denied" : "unavailable";
      reject(
        new BangerError(code, message, { cure: "choose another port; 0 takes a free one", cause: error }),
      );
    });
    server.listen(where.port, where.host, resolve);
  });
}
