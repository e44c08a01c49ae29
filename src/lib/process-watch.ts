/**
 * Waits for the end of a process that is not our child, and signals it without the risk of hitting a later process
 * with the same pid. Both rest on a pidfd (pidfd_open(2)), which becomes readable when the process ends.
 */
import { closeSync } from "node:fs";
import { constants } from "node:os";
import type { FdSocketOptions, Socket, UnixSocketOptions } from "bun";
import { pidfdOpen, pidfdSendSignal, SystemCallError } from "./libc.ts";
import { isAlive, type ProcessHandle } from "./process-identity.ts";

export interface ProcessWatch {
  /** Resolves when the process has ended (reaped or not); never rejects, and never settles after `release`. */
  readonly ended: Promise<void>;
  /** Sends a signal; false when the process has ended. */
  signal(name: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): boolean;
  /** Lets go of the process without touching it. Safe to repeat. */
  release(): void;
}

/** Watches a process; undefined when it does not run any more. Does not keep this process alive. */
export async function watchProcess(handle: ProcessHandle): Promise<ProcessWatch | undefined> {
  const pidfd = openPidfd(handle.pid);
  if (pidfd === undefined) return undefined;
  // Looked at after the descriptor was opened: what is alive now with that start time is what the descriptor means.
  if (!isAlive(handle)) {
    closeSync(pidfd);
    return undefined;
  }
  return PidfdWatch.create(pidfd);
}

class PidfdWatch implements ProcessWatch {
  readonly ended: Promise<void>;
  private readonly pidfd: number;
  private readonly state: { open: boolean; released: boolean };
  private readonly poller: Socket;

  /**
   * Bun's event loop polls sockets only, so the pidfd poses as one: nothing happens until it is readable; then the
   * loop's recv() fails with ENOTSOCK and the loop closes it. That close is the event. A Bun that refused such a
   * descriptor would fail here and in this file's test, not later.
   */
  static async create(pidfd: number): Promise<PidfdWatch> {
    const state = { open: true, released: false };
    const ended = Promise.withResolvers<void>();
    const options: FdSocketOptions = {
      fd: pidfd,
      socket: {
        data: () => undefined,
        close: () => {
          state.open = false;
          if (!state.released) ended.resolve();
        },
      },
    };
    // bun-types declares FdSocketOptions but leaves it out of connect()'s overloads.
    const poller = await Bun.connect(options as unknown as UnixSocketOptions);
    return new PidfdWatch(pidfd, poller, state, ended.promise);
  }

  private constructor(
    pidfd: number,
    poller: Socket,
    state: { open: boolean; released: boolean },
    ended: Promise<void>,
  ) {
    this.pidfd = pidfd;
    this.poller = poller;
    this.state = state;
    this.ended = ended;
    poller.unref();
  }

  signal(name: "SIGTERM" | "SIGKILL" | "SIGSTOP" | "SIGCONT"): boolean {
    if (!this.state.open) return false;
    try {
      pidfdSendSignal(this.pidfd, constants.signals[name]);
      return true;
    } catch (error) {
      if (error instanceof SystemCallError && error.code === "ESRCH") return false;
      throw error;
    }
  }

  release(): void {
    this.state.released = true;
    if (this.state.open) this.poller.terminate();
  }
}

function openPidfd(pid: number): number | undefined {
  try {
    return pidfdOpen(pid);
  } catch (error) {
    if (error instanceof SystemCallError && error.code === "ESRCH") return undefined;
    throw error;
  }
}
