/** Sends what it reads to an address and a port, and writes what comes back; ends with its connection. */
import { connect } from "node:net";

const [address = "", port = ""] = process.argv.slice(2);
const socket = connect({ host: address, port: Number(port) });
socket.on("error", () => process.exit(1));
socket.on("close", () => process.exit(1));
socket.pipe(process.stdout);
process.stdin.pipe(socket);
