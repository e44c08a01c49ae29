/** Bodies about the network: what a VM may reach, what there is, what would become of a packet. */
import type { NetworkMode } from "../../model/network-policy.ts";

export type { NetworkReport } from "../../model/network-report.ts";

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
