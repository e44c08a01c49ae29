/**
 * QEMU alone, with the command line that banger gives it: what a script without banger would start. Descriptors become a
 * socket that QEMU connects to, so that nothing waits for one to appear.
 */
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type Socket } from "node:net";
import { join } from "node:path";
import type { Agent } from "../src/guest/agent.ts";
import type { GuestCard } from "../src/guest/snapshot.ts";

/** So long may a bare guest take to greet: as long as banger waits for its own (`boot_timeout`). */
const BOOT_DEADLINE_MS = 120_000;

/** Ends the wait for a bare guest's agent. */
export function bootDeadline(): AbortSignal {
  return AbortSignal.timeout(BOOT_DEADLINE_MS);
}

/** Mounts image and disk in a bare guest, and sets its card up where it has one, as banger does in its own. */
export async function configureBare(agent: Agent, network?: GuestCard): Promise<void> {
  await agent.configure({
    hostname: "bare",
    init: "agent",
    rootfs: { disk: "rootfs", type: "squashfs" },
    writable: { disk: "disk", type: "ext4" },
    env: { PATH: "/usr/bin:/bin" },
    hosts: [],
    mounts: [],
    network,
    poweroff: "acpi",
  });
}

export interface BareQemu extends AsyncDisposable {
  /** The agent channel. */
  readonly channel: Socket;
  /** Settles with the end of the process. */
  readonly exited: Promise<unknown>;
}

/** The command line of a live QEMU of banger's, made ready for `startBareQemu`. */
export function bareArgv(pid: number): string[] {
  const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").slice(0, -1);
  return argv.flatMap((word, index) => {
    if (word === "-mon" || argv[index - 1] === "-mon") return [];
    if (word.startsWith("socket,id=qmp")) return ["null,id=qmp"];
    // Its own tap, on no bridge, which ends with it.
    if (word.startsWith("tap,")) return [word.replace(/,fd=\d+/, ",script=no,downscript=no")];
    return [word.startsWith("socket,id=agent") ? "socket,id=agent,path=@AGENT@" : word];
  });
}

/** Starts QEMU with files of its own in `dir`, where `disk.ext4` exists. */
export async function startBareQemu(argv: readonly string[], dir: string): Promise<BareQemu> {
  const agent = join(dir, "agent.sock");
  const server = createServer().listen(agent);
  await once(server, "listening");
  const own = argv.map((word) =>
    word
      .replace("@AGENT@", agent)
      .replace(/path=[^,]*console\.log/, `path=${join(dir, "console.log")}`)
      .replace(/"filename":"[^"]*disk\.ext4"/, `"filename":"${join(dir, "disk.ext4")}"`),
  );
  const child = Bun.spawn(own, { stdin: "ignore", stdout: "ignore", stderr: "inherit" });
  const ended = child.exited.then((code) => {
    throw new Error(`bare QEMU ended at once (exit code ${code})`);
  });
  const connected = once(server, "connection") as Promise<[Socket]>;
  const [channel] = await Promise.race([connected, ended]).finally(() => server.close());
  return {
    channel,
    exited: child.exited,
    async [Symbol.asyncDispose]() {
      channel.destroy();
      child.kill("SIGKILL");
      await child.exited;
    },
  };
}
