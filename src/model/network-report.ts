/** What there is to say of the network of this user's VMs. */

export interface NetworkReport {
  /**
   * `namespace`: guests have cards. `channel`: connections over the agent's channel instead. `none`: neither. `why` says the reason; of
   * a namespace it says what is missing from the best there is.
   */
  readonly kind: "namespace" | "channel" | "none";
  readonly why?: string | undefined;
  readonly cure?: string | undefined;
  /** Whether the namespace is there now: it is made when the first VM starts. */
  readonly up: boolean;
  /** Root's by its name, an ordinary user's by the path that leads to it. */
  readonly namespace: string;
  /** The process that keeps an ordinary user's, and ends with it; absent: it is not up, or is root's. */
  readonly keeper?: number | undefined;
  /** Somebody else removed it: what that means for the VMs in it, and the cure. */
  readonly lost?: string | undefined;
  /** The host's end of the link into it; absent: it has none. */
  readonly hostLink?: string | undefined;
  readonly pool: string;
  readonly gateway: string;
  /** Where guests' IPv6 addresses come from, and their gateway; absent: they have none. */
  readonly pool6?: string | undefined;
  readonly gateway6?: string | undefined;
  /** Why guests have no IPv6, or another pool, although the configuration says otherwise. */
  readonly problem6?: string | undefined;
  readonly uplink: string;
  /** Taps that wait for a VM. */
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
