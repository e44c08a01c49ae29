/** A process of its own that boots QEMU alone to the agent's first message and kills it: `bare-boot ARGV.json DIR`. */
import { readFileSync } from "node:fs";
import { AgentConnection } from "../src/guest/connection.ts";
import { bootDeadline, startBareQemu } from "./bare-qemu.ts";

const [argvFile = "", dir = ""] = process.argv.slice(2);
await using qemu = await startBareQemu(JSON.parse(readFileSync(argvFile, "utf8")) as string[], dir);
const connection = await AgentConnection.open(qemu.channel, { fresh: true, signal: bootDeadline() });
connection.close();
