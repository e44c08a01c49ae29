/**
 * A process that passes bytes on and does nothing else, as quickly as this runtime can: `relay LISTEN CONNECT`, both Unix sockets. Says
 * so when it listens, serves one connection, and ends with it.
 */
import type { Socket, UnixSocketOptions } from "bun";

const [listen = "", target = ""] = process.argv.slice(2);

/** Writes what comes to the other; a few bytes at a time never fill a socket. */
function passTo(other: () => Socket | undefined): UnixSocketOptions["socket"] {
  return {
    data: (_, bytes) => void other()?.write(bytes),
    close: () => process.exit(0),
  };
}

let client: Socket | undefined;
const server = await Bun.connect({ unix: target, socket: passTo(() => client) });
Bun.listen({
  unix: listen,
  socket: {
    ...passTo(() => server),
    open: (socket) => {
      client = socket;
    },
  },
});
console.log("ready");
