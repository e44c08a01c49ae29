/** What the network works with, and what it remembers of a VM. */
import type { Element, NetworkVm } from "./elements.ts";
import type { Ground } from "./ground.ts";
import type { NetworkPlan } from "./names.ts";
import type { Uplink } from "./uplink.ts";

/** Runs while the namespace is there: the resolver, the reader of refused packets. */
export type NamespaceService = (plan: NetworkPlan) => Disposable;

export interface NetworkOptions {
  readonly plan: NetworkPlan;
  readonly ground: Ground;
  readonly uplink: Uplink;
  readonly tapPoolSize: number;
  /** Started when the namespace is there. */
  readonly services: readonly NamespaceService[];
  readonly onProblem: (what: string, error: unknown) => void;
  /** Calls back after some time, unless disposed; does not keep the process alive. */
  readonly later: (ms: number, work: () => void) => Disposable;
  /** Hears of every named step before it is done. */
  readonly onStep: (step: string) => void;
}

/** A VM that is on the network. */
export interface Attachment {
  readonly vm: NetworkVm;
  readonly tap: string;
  readonly elements: readonly Element[];
}
