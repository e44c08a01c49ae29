/** Bodies about the network: what a VM may reach, what there is, what would become of a packet. */
import type { NetworkMode } from "../../model/network-policy.ts";

/** What a VM is to reach; what is absent stays as it was. */
export interface NetworkWish {
  readonly mode?: NetworkMode | undefined;
  /** `HOST[:PORT][/PROTOCOL]` each; replaces the list. */
  readonly allow?: readonly string[] | undefined;
  /** As `allow`: what is refused in every mode. */
  readonly deny?: readonly string[] | undefined;
  /** Whether it talks with other guests that say so, too. */
  readonly peers?: boolean | undefined;
}

/** The network of this user's VMs. */
export interface NetworkReport {
  /** `none`: guests have no network card; `why` says the reason. */
  readonly kind: "namespace" | "channel" | "none";
  readonly why?: string | undefined;
  readonly cure?: string | undefined;
  /** Whether the namespace is there now. */
  readonly up: boolean;
  readonly namespace: string;
  /** The host's end of the link into the namespace. */
  readonly hostLink: string;
  readonly pool: string;
  readonly gateway: string;
  /** Where guests' IPv6 addresses come from, and their gateway; absent: they have none. */
  readonly pool6?: string | undefined;
  readonly gateway6?: string | undefined;
  /** Why guests have no IPv6, or another pool, although the configuration says otherwise. */
  readonly problem6?: string | undefined;
  /** The program that carries packets out. */
  readonly uplink: string;
  readonly readyTaps: number;
  readonly nameservers: readonly string[];
  /** What keeps the host from reaching guests by address. */
  readonly clash?: string | undefined;
  readonly vms: readonly NetworkedVm[];
}

export interface NetworkedVm {
  readonly id: string;
  readonly name: string;
  readonly address: string;
  readonly address6?: string | undefined;
  readonly mode: string;
  readonly tap: string;
}

export interface NetworkCheck {
  /** `HOST:PORT[/PROTOCOL]`, or `HOST/icmp`. */
  readonly target: string;
}

export interface NetworkVerdict {
  /** `allow` when at least one address can be reached. */
  readonly verdict: "allow" | "deny";
  /** What decided. */
  readonly rule: string;
  readonly addresses: readonly CheckedAddress[];
}

export interface CheckedAddress {
  readonly address: string;
  readonly protocol: "tcp" | "udp" | "icmp";
  readonly port?: number | undefined;
  readonly verdict: "allow" | "deny";
  readonly rule: string;
}
