/** The typed client of the daemon: one method an operation. */
import { fillPath } from "../api/paths.ts";
import type { Exec, ExecRequest } from "../api/types/exec.ts";
import type { Listener, VmStats } from "../api/types/use.ts";
import type { CreateVm, RunRequest, SetVm, StopVm, Vm, VmEvent } from "../api/types/vms.ts";
import type { SshDoor } from "../model/ssh.ts";
import { readText } from "./answers.ts";
import { type CallOptions, Calls, type LongCallOptions } from "./calls.ts";
import { KeptClient } from "./client/kept.ts";
import { Command, type CommandListener } from "./command.ts";
import { GuestFiles } from "./files/guest-files.ts";
import { follow } from "./follow.ts";
import { GuestStream } from "./guest-stream.ts";
import { createTransport } from "./transport.ts";

/**
 * A client of one daemon. Its methods are in files by noun, each class the base of the next; this one has those on VMs. Errors of every
 * method: BangerError, with the daemon's code, message and cure; `unavailable` when there is no daemon.
 */
export class Client extends KeptClient {
  /** A client of the daemon at `socketPath`. Nothing is sent yet. */
  static async create(socketPath: string): Promise<Client> {
    return new Client(new Calls(await createTransport(socketPath)));
  }

  async listVms(options?: CallOptions): Promise<readonly Vm[]> {
    const { vms } = await this.calls.json<{ vms: readonly Vm[] }>("vm.list", { ...options });
    return vms;
  }

  /** `ref` here and below: a name, an id, or an unambiguous id prefix. */
  async showVm(ref: string, options?: CallOptions): Promise<Vm> {
    return await this.calls.json("vm.show", { ...options, path: { vm: ref } });
  }

  /** Makes a VM and, unless `start` is false, starts it; `cold` boots it even where a template would be faster. */
  async createVm(
    wish: CreateVm,
    options: LongCallOptions & { readonly start?: boolean; readonly cold?: boolean } = {},
  ): Promise<Vm> {
    const { start = true, cold = false, ...rest } = options;
    const query = { start: String(start), cold: String(cold) };
    return await this.calls.progress("vm.create", { ...rest, query, body: wish });
  }

  async startVm(ref: string, options: LongCallOptions & { readonly cold?: boolean } = {}): Promise<Vm> {
    const { cold = false, ...rest } = options;
    return await this.calls.progress("vm.start", {
      ...rest,
      path: { vm: ref },
      query: { cold: String(cold) },
    });
  }

  async stopVm(ref: string, options: LongCallOptions & StopVm = {}): Promise<Vm> {
    const { timeoutMs, ...rest } = options;
    return await this.calls.progress("vm.stop", { ...rest, path: { vm: ref }, body: { timeoutMs } });
  }

  async restartVm(ref: string, options: LongCallOptions & StopVm = {}): Promise<Vm> {
    const { timeoutMs, ...rest } = options;
    return await this.calls.progress("vm.restart", { ...rest, path: { vm: ref }, body: { timeoutMs } });
  }

  /** Ends the VM's process at once; what the guest had not synced is lost. */
  async killVm(ref: string, options: LongCallOptions & { readonly how?: "KILL" | "TERM" } = {}): Promise<Vm> {
    const { how, ...rest } = options;
    return await this.calls.progress("vm.kill", { ...rest, path: { vm: ref }, body: { signal: how } });
  }

  async pauseVm(ref: string, options?: CallOptions): Promise<Vm> {
    return await this.calls.json("vm.pause", { ...options, path: { vm: ref } });
  }

  async resumeVm(ref: string, options?: CallOptions): Promise<Vm> {
    return await this.calls.json("vm.resume", { ...options, path: { vm: ref } });
  }

  /** Changes name, size, kernel, network or published ports; `pending` of the answer names what waits for the next start. */
  async setVm(ref: string, wish: SetVm, options?: CallOptions): Promise<Vm> {
    return await this.calls.json("vm.set", { ...options, path: { vm: ref }, body: wish });
  }

  /** Resolves when the VM is stopped, or in error. */
  async waitVm(ref: string, options?: CallOptions): Promise<Vm> {
    return await this.calls.progress("vm.wait", { ...options, path: { vm: ref } });
  }

  /** What the live VMs use now. */
  async stats(options?: CallOptions): Promise<readonly VmStats[]> {
    const { stats } = await this.calls.json<{ stats: readonly VmStats[] }>("stats", { ...options });
    return stats;
  }

  /** The sockets that listen in a VM. */
  async ports(ref: string, options?: CallOptions): Promise<readonly Listener[]> {
    const path = { vm: ref };
    return (await this.calls.json<{ listeners: readonly Listener[] }>("vm.ports", { ...options, path }))
      .listeners;
  }

  /** What an SSH server of a running VM is made with. */
  async sshDoor(ref: string, options?: CallOptions): Promise<SshDoor> {
    return await this.calls.json("vm.sshDoor", { ...options, path: { vm: ref } });
  }

  /** Deletes a VM and its disk; `force` also while it runs. */
  async removeVm(ref: string, options: CallOptions & { readonly force?: boolean } = {}): Promise<Vm> {
    const { force = false, ...rest } = options;
    return await this.calls.json("vm.remove", {
      ...rest,
      path: { vm: ref },
      query: { force: String(force) },
    });
  }

  /** The guest's console output, at most the last MiB. */
  async logs(ref: string, options?: CallOptions): Promise<string> {
    return await readText(await this.calls.send("vm.logs", { ...options, path: { vm: ref } }));
  }

  /** Runs a command in a VM. */
  exec(ref: string, exec: ExecRequest, listener: CommandListener = {}): Command {
    return new Command(this.calls.transport, fillPath("vm.exec", { vm: ref }), {
      first: { type: "exec", exec },
      listener,
    });
  }

  /** Runs a command that belongs to no client: it lives on when this one goes. Its last MiB of output is kept. */
  async execDetached(
    ref: string,
    exec: ExecRequest,
    options?: CallOptions,
  ): Promise<{ id: string; pid: number }> {
    return await this.calls.json("vm.execDetached", { ...options, path: { vm: ref }, body: exec });
  }

  /** Joins a detached command: its kept output, then live. Going away leaves it running. */
  attach(ref: string, id: string, listener: CommandListener = {}): Command {
    return new Command(this.calls.transport, fillPath("vm.exec", { vm: ref }), {
      first: { type: "attach", id },
      listener,
    });
  }

  /** Files and connections of a VM. Nothing is sent yet. */
  files(ref: string): GuestFiles {
    const path = fillPath("vm.stream", { vm: ref });
    return new GuestFiles((options) => new GuestStream(this.calls.transport, path, options));
  }

  /** The commands of a VM that the guest knows. */
  async execs(ref: string, options?: CallOptions): Promise<readonly Exec[]> {
    const { execs } = await this.calls.json<{ execs: readonly Exec[] }>("vm.execs", {
      ...options,
      path: { vm: ref },
    });
    return execs;
  }

  /** What happens to VMs, after `after` (a cursor) or from now on, until the signal or the end of the daemon. */
  async *events(options: CallOptions & { readonly after?: number } = {}): AsyncGenerator<VmEvent> {
    const query = options.after === undefined ? "" : `?after=${options.after}`;
    for await (const message of follow(
      this.calls.transport,
      `${fillPath("events")}${query}`,
      options.signal,
    )) {
      if (typeof message === "string") yield JSON.parse(message) as VmEvent;
    }
  }

  /** A VM's console: the end of what is there, then what comes, until the signal or the end of the daemon. */
  async *followLogs(ref: string, options: CallOptions = {}): AsyncGenerator<Uint8Array> {
    // A WebSocket that is refused does not say why.
    const { id } = await this.showVm(ref, options);
    for await (const message of follow(
      this.calls.transport,
      fillPath("vm.follow", { vm: id }),
      options.signal,
    )) {
      if (typeof message !== "string") yield message;
    }
  }

  /** Makes a VM and runs a command in it. */
  run(run: RunRequest, listener: CommandListener = {}): Command {
    return new Command(this.calls.transport, fillPath("run"), { first: { type: "run", run }, listener });
  }
}
