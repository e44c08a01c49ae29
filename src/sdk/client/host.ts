/** The client's operations on the daemon, its host and its network. */
import type { ConfigReport, DaemonStatus, DoctorReport } from "../../api/types/host.ts";
import type { NetworkDown, NetworkReport, NetworkVerdict } from "../../api/types/network.ts";
import type { SshKeys } from "../../model/ssh.ts";
import { readText } from "../answers.ts";
import type { CallOptions, Calls } from "../calls.ts";

export abstract class HostClient {
  protected readonly calls: Calls;

  protected constructor(calls: Calls) {
    this.calls = calls;
  }

  async daemonStatus(options?: CallOptions): Promise<DaemonStatus> {
    return await this.calls.json("daemon.status", { ...options });
  }

  /** Ends the daemon; VMs live on. */
  async stopDaemon(options?: CallOptions): Promise<void> {
    await this.calls.json("daemon.stop", { ...options });
  }

  async doctor(options?: CallOptions): Promise<DoctorReport> {
    return await this.calls.json("doctor", { ...options });
  }

  /** What the daemon obeys, and where each value came from. */
  async config(options?: CallOptions): Promise<ConfigReport> {
    return await this.calls.json("config", { ...options });
  }

  /** What the daemon counts, in Prometheus' text format. */
  async metrics(options?: CallOptions): Promise<string> {
    return await readText(await this.calls.send("metrics", { ...options }));
  }

  /** The network of this user's VMs. */
  async showNetwork(options?: CallOptions): Promise<NetworkReport> {
    return await this.calls.json("network.show", { ...options });
  }

  /** Removes the network's namespace, if there is one. Errors: `failed_precondition` while VMs use it. */
  async takeNetworkDown(options?: CallOptions): Promise<NetworkDown> {
    return await this.calls.json("network.down", { ...options });
  }

  /** Whether a VM may reach `HOST:PORT[/PROTOCOL]`, and which rule says so. */
  async checkNetwork(vm: string, target: string, options?: CallOptions): Promise<NetworkVerdict> {
    return await this.calls.json("network.check", { ...options, path: { vm }, body: { target } });
  }

  /** The key that opens VMs over SSH, made when it is missing. */
  async sshKeys(options?: CallOptions): Promise<SshKeys> {
    return await this.calls.json("ssh.keys", { ...options });
  }
}
