/** A live Firecracker process behind the port's `Running`. */
import { BangerError } from "../../model/errors.ts";
import { oneAtATime } from "../agent-channel.ts";
import type { HypervisorProcess } from "../hypervisor-process.ts";
import type { DriverHandles, Running } from "../port.ts";
import type { ApiClient, ApiRequest } from "./api-client.ts";
import { AGENT_PORT } from "./command-line.ts";
import { describeMachine } from "./description.ts";
import { apiId } from "./devices.ts";
import type { Knocks } from "./knocks.ts";
import { limitLogs } from "./log-limit.ts";
import { type SaveInput, saveFirecracker } from "./save.ts";
import { openVsockStream } from "./vsock-stream.ts";

export interface FirecrackerSockets {
  readonly api: string;
  readonly agent: string;
}

export interface RunningParts {
  readonly process: HypervisorProcess;
  readonly sockets: FirecrackerSockets;
  readonly api: ApiClient;
  readonly knocks: Knocks;
  /** The files that it writes by itself, absolute. */
  readonly logs: readonly string[];
  /** Undefined for a process that sees the host's files. */
  readonly jail: SaveInput["jail"];
}

/** `process` is the Firecracker of `machineId`, listening on `sockets`. */
export function createFirecrackerRunning(machineId: string, parts: RunningParts): Running {
  const { process, sockets, api, knocks } = parts;
  const handles: DriverHandles = {
    driver: "firecracker",
    machineId,
    process: process.handle,
    sockets: { ...sockets },
  };
  const limit = limitLogs(parts.logs);
  void process.exited.then(() => {
    limit[Symbol.dispose]();
    // Whoever waits for a guest that boots hears that it will not.
    knocks.nudge();
    knocks[Symbol.dispose]();
    api[Symbol.dispose]();
  });
  return {
    handles,
    // It has no power switch; the keyboard controller's reset line ends the process.
    poweroff: "reset",
    channel: oneAtATime(() => openVsockStream({ socketPath: sockets.agent, port: AGENT_PORT, knocks })),
    pause: () => setState("Paused"),
    async resume() {
      await setState("Resumed");
      // A connection that was asked for while the guest slept was given up by Firecracker after two seconds.
      knocks.nudge();
    },
    snapshot: (dir, options) =>
      saveFirecracker(dir, { api, pid: process.handle.pid, jail: parts.jail }, options),
    async diskGrown(id) {
      const drive_id = apiId(id);
      // Naming the file again makes Firecracker look at its size (Firecracker's docs/api_requests/patch-block.md).
      const path_on_host = await drivePath(drive_id);
      await order({ method: "PATCH", path: `/drives/${drive_id}`, body: { drive_id, path_on_host } });
    },
    stats: () => process.stats(),
    kill: (options) => process.kill(options),
    exited: process.exited,
  };

  async function setState(state: "Paused" | "Resumed"): Promise<void> {
    await order({ method: "PATCH", path: "/vm", body: { state } });
  }

  async function order(request: ApiRequest): Promise<void> {
    await api.send(request);
  }

  async function drivePath(driveId: string): Promise<string> {
    const { drives } = await describeMachine(api);
    const path = drives.find((drive) => drive.drive_id === driveId)?.path_on_host;
    if (path !== undefined && path !== null) return path;
    throw new BangerError("internal", `Firecracker knows no drive ${driveId}`);
  }
}
