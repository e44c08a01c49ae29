/** Reaching a port of a guest by its address, over the host's own route to it. */
import { connect, type Socket } from "node:net";
import type { Clock } from "../../lib/clock.ts";
import { ROUTE_MS } from "./limits.ts";

/** `none`: nobody listens at that address, or there is no route; `silent`: there was no answer in time. */
export type Routed = Socket | "none" | "silent";

export interface RouteTarget {
  readonly host: string;
  readonly port: number;
}

/** Connects; the socket is paused and half-open allowed. Never throws. */
export async function dialByRoute(target: RouteTarget, clock: Clock): Promise<Routed> {
  const socket = connect({ ...target, noDelay: true, allowHalfOpen: true });
  const { promise, resolve } = Promise.withResolvers<Routed>();
  const letGo = clock.after(ROUTE_MS, () => resolve("silent"));
  // What broke is told by "close", too.
  socket.on("error", () => undefined);
  socket.once("close", () => resolve("none"));
  socket.once("connect", () => {
    socket.pause();
    resolve(socket);
  });
  const found = await promise;
  letGo();
  if (found === "silent") socket.destroy();
  return found;
}

/**
 * Joins two connections until both are over: half-closed as they are, and at the pace of whoever reads. One that breaks off breaks the
 * other off. Both are half-open allowed, and hear of their own errors.
 */
export async function join(client: Socket, guest: Socket): Promise<void> {
  await Promise.all([flow(client, guest), flow(guest, client)]);
}

/** Resolves when `from` is closed. */
async function flow(from: Socket, to: Socket): Promise<void> {
  if (from.destroyed) return void to.resetAndDestroy();
  let ended = false;
  from.once("end", () => {
    ended = true;
  });
  const closed = new Promise<void>((resolve) => from.once("close", () => resolve()));
  from.pipe(to);
  await closed;
  if (!ended || !from.writableFinished) to.resetAndDestroy();
}
