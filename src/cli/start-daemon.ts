/** Finding the daemon, and starting it when none answers. */
import type { ChildProcess } from "node:child_process";
import type { Readable } from "node:stream";
import type { DaemonStatus } from "../api/types/host.ts";
import { listens, untilListenerIsGone } from "../lib/unix-connect.ts";
import { BangerError, type ErrorBody } from "../model/errors.ts";
import { Client } from "../sdk/client.ts";
import { socketPath } from "./places.ts";

/** A client of the running daemon, started when there is none. Errors: whatever kept the daemon from starting. */
export async function connectDaemon(self: readonly string[]): Promise<Client> {
  const path = socketPath(process.env, process.getuid?.() ?? 0);
  if (!(await listens(path))) await startDaemon(self);
  return await Client.create(path);
}

/** A daemon that has answered. One that was just killed holds its socket until the kernel has ended all its threads: that is waited for. */
export async function askDaemon(self: readonly string[]): Promise<DaemonStatus> {
  try {
    return await (await connectDaemon(self)).daemonStatus();
  } catch (error) {
    if (!(error instanceof BangerError) || error.code !== "unavailable") throw error;
    const path = socketPath(process.env, process.getuid?.() ?? 0);
    await untilListenerIsGone(path, async () => undefined);
    return await (await connectDaemon(self)).daemonStatus();
  }
}

/** A client of the daemon that runs already; undefined when none does. */
export async function findDaemon(): Promise<Client | undefined> {
  const path = socketPath(process.env, process.getuid?.() ?? 0);
  return (await listens(path)) ? await Client.create(path) : undefined;
}

/** Ends the daemon and waits until it is gone; false when none ran. */
export async function stopDaemon(): Promise<boolean> {
  const client = await findDaemon();
  if (client === undefined) return false;
  await untilListenerIsGone(socketPath(process.env, process.getuid?.() ?? 0), () => client.stopDaemon());
  return true;
}

/** Starts the daemon in a session of its own and resolves when it serves, or when another one does. */
async function startDaemon(self: readonly string[]): Promise<void> {
  // Loaded only here: most commands find a daemon.
  const { spawn } = await import("node:child_process");
  const [program = "", ...args] = self;
  const child = spawn(program, [...args, "daemon", "serve", "--ready-fd", "3"], {
    detached: true,
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  try {
    const said = await firstLine(child);
    if (said === "ready") return;
    throw said === "" ? diedSilently() : BangerError.fromBody(JSON.parse(said) as ErrorBody);
  } finally {
    child.unref();
  }
}

async function firstLine(child: ChildProcess): Promise<string> {
  const pipe = child.stdio[3] as Readable;
  return await new Promise((resolve, reject) => {
    let text = "";
    child.once("error", reject);
    pipe.on("data", (bytes: Buffer) => {
      text += bytes.toString("utf8");
      if (text.includes("\n")) resolve(text.slice(0, text.indexOf("\n")));
    });
    pipe.once("close", () => resolve(text));
  }).then((line) => {
    pipe.destroy();
    return line as string;
  });
}

function diedSilently(): BangerError {
  return new BangerError("unavailable", "the daemon ended before it could serve", {
    cure: "see why with: banger daemon logs",
  });
}
