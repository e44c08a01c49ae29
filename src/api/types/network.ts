/** Bodies about the network: what a VM may reach, what there is, what would become of a packet. */
export type { NetworkWish } from "../../model/network-policy.ts";

export type { NetworkReport } from "../../model/network-report.ts";

export interface NetworkCheck {
  /** `HOST:PORT[/PROTOCOL]`, or `HOST/icmp`. */
  readonly target: string;
}

export interface NetworkDown {
  /** False: there was none. */
  readonly removed: boolean;
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
