/** Where the network of guests stands: how its namespace is made, found again, entered and removed. Root and an ordinary user have one each. */
import type { CardAvailability } from "./availability.ts";
import type { Blocked } from "./blocked.ts";
import type { DnsServerOptions } from "./dns/server.ts";
import type { NetworkPlan } from "./names.ts";
import type { NetPrograms } from "./programs.ts";

export interface Ground {
  /** Root's namespace is joined to the host by a link; an ordinary user's by its uplink alone. */
  readonly owner: "root" | "user";
  /** Whether it can be had on this host, apart from what the hypervisor says. */
  available(): Promise<CardAvailability>;
  readonly inside: Inside;
  /** Whether the namespace of which this process knows is there. */
  exists(): boolean;
  /** The process that keeps the namespace, which ends with it; undefined: none does, or none is there. */
  keeper(): number | undefined;
  /** Looks for the namespace, which then `exists`, or what was left of one by a daemon that died. */
  find(): Promise<"namespace" | "remains" | "nothing">;
  /** Makes an empty namespace. Nothing of an earlier one is there. Errors: `internal`, `unavailable`; what was made may be there. */
  create(): Promise<void>;
  /** Removes the namespace and whatever of it is on the host. Safe to repeat and with nothing there. Errors: `internal`. */
  remove(): Promise<void>;
  /** Joins host and namespace, where that can be. Errors: `internal`, `unavailable`. */
  linkHost(plan: NetworkPlan): Promise<void>;
  /** What tells pasta(1) which namespace is meant; one of the words is `plan.netnsPath`. */
  uplinkArguments(): readonly string[];
}

/** Work in the namespace. */
export interface Inside {
  readonly programs: NetPrograms;
  /** Its settings as a router of guests. */
  setSysctls(isIpv6: boolean): Promise<void>;
  /** The names of its network devices. */
  devices(): Promise<ReadonlySet<string>>;
  /** As `openTap` of lib/tap.ts. */
  openTap(name: string): Promise<number>;
  /** As `createDnsServer`. */
  serveDns(options: DnsServerOptions): Disposable & { readonly ready: Promise<void> };
  /** As `readBlocked`. */
  readBlocked(handlers: BlockedHandlers): Disposable;
}

export interface BlockedHandlers {
  readonly onBlocked: (packet: Blocked) => void;
  /** The kernel had more than could be read, and the rest is not told. */
  readonly onEnd: () => void;
}
