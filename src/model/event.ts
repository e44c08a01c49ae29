/** What happened to VMs, in order: the durable log behind `banger events`. */
import type { VmState } from "./vm.ts";

/** A VM was made, removed or changed, its network refused something, or it came to be in a state. */
export type EventKind = "created" | "removed" | "changed" | "blocked" | VmState;

export interface VmEvent {
  /** Ascending, never used twice; where a reader goes on. */
  readonly cursor: number;
  /** Unix milliseconds. */
  readonly at: number;
  readonly kind: EventKind;
  readonly vm: string;
  readonly name: string;
  /** Why, when it is an error; what, when it was blocked. */
  readonly message: string | undefined;
}

/** So many events are kept; older ones are forgotten. */
export const EVENTS_KEPT = 10_000;
