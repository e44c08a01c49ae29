/** What is asked of a VM: of a new one, and of one that is there. A unit stands in the field's name. */
import type { Init } from "./init.ts";
import type { NetworkWish } from "./network-policy.ts";
import type { PortsWish, PublishedPort } from "./published-port.ts";
import type { VolumeMount } from "./volume.ts";

/** So many children are made in one fork. */
export const MAX_FORKS = 100;
/** The longest that a guest is waited for when it is stopped. */
export const MAX_STOP_TIMEOUT_MS = 3_600_000;

export interface CreateVm {
  /** Absent: the daemon makes a readable one. */
  readonly name?: string | undefined;
  /** Absent: the default image. */
  readonly image?: string | undefined;
  readonly vcpus?: number | undefined;
  readonly memoryMib?: number | undefined;
  readonly diskMib?: number | undefined;
  /** Environment of every command in the VM. */
  readonly env?: Readonly<Record<string, string>> | undefined;
  /** The driver; absent: the best that the host has. */
  readonly vmm?: string | undefined;
  /** Process 1 of the guest; absent: what the image says. */
  readonly init?: Init | undefined;
  /** A kernel's name, `host`, or `image`: the image's own; absent: Debian's. */
  readonly kernel?: string | undefined;
  readonly volumes?: readonly VolumeMount[] | undefined;
  /** Port 0 of this host: any that is free, which the VM then keeps. */
  readonly ports?: readonly PublishedPort[] | undefined;
  /** Go on from this snapshot, by name or id, when it starts first. */
  readonly snapshot?: string | undefined;
  /** Absent: `public`. */
  readonly network?: NetworkWish | undefined;
}

export interface SetVm extends PortsWish {
  readonly name?: string | undefined;
  readonly vcpus?: number | undefined;
  readonly memoryMib?: number | undefined;
  /** Only larger. */
  readonly diskMib?: number | undefined;
  /** As in `CreateVm`; `debian` is the default again. */
  readonly kernel?: string | undefined;
  /** Holds at once. */
  readonly network?: NetworkWish | undefined;
}
