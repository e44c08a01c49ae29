/** Bodies about what VMs use, and what listens in them. */
import type { GuestListener, GuestStats } from "../../model/guest-use.ts";

export type { GuestStats };

/** What a VM uses now: the host's side, and the guest's own word when it answers. */
export interface VmStats {
  readonly id: string;
  readonly name: string;
  /** CPU time of the hypervisor process. */
  readonly cpuMs: number;
  /** Resident memory of the hypervisor process. */
  readonly rssBytes: number;
  readonly guest?: GuestStats | undefined;
}

/** A socket that listens in a guest. */
export interface Listener extends GuestListener {
  /** Where this host listens for it. */
  readonly published?: readonly string[] | undefined;
}
