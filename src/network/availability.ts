/** Whether guests can have network cards on this host: looked up, never tried out. */
import { accessSync, constants, readFileSync } from "node:fs";
import { findProgram } from "../lib/run-program.ts";

export type Availability =
  /** `owner`: whose the namespace is. */
  | { readonly kind: "namespace"; readonly owner: "root" | "user" }
  /** No cards, and connections over the agent's channel instead. */
  | { readonly kind: "channel"; readonly why: string; readonly cure: string }
  | { readonly kind: "none"; readonly why: string; readonly cure: string };

/** Of cards alone. */
export type CardAvailability = Exclude<Availability, { kind: "channel" }>;

const PROGRAMS: readonly (readonly [program: string, apt: string])[] = [
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["pasta", "passt"],
];

/** CAP_NET_ADMIN and CAP_SYS_ADMIN as bits (linux/capability.h): a container's root often lacks them. */
const NEEDED_CAPABILITIES = (1n << 12n) | (1n << 21n);

/** What the configuration says of the way that guests have: the best that there is, or this one and no other. */
export type NetworkWay = "auto" | "namespace" | "channel";

/** Whether root can make them. */
export function findAvailability(): CardAvailability {
  if (process.geteuid?.() !== 0) {
    return noCards("only root can make the taps and rules of guests here", "run banger as root");
  }
  const effective = BigInt(
    `0x${/^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "latin1"))?.[1] ?? "0"}`,
  );
  if ((effective & NEEDED_CAPABILITIES) !== NEEDED_CAPABILITIES) {
    return noCards(
      "this root may not set up networks (no CAP_NET_ADMIN or CAP_SYS_ADMIN)",
      "run banger outside of the container, or give the container these capabilities",
    );
  }
  const missing = PROGRAMS.filter(([program]) => findProgram(program) === undefined);
  if (missing.length > 0) {
    return noCards(
      `not installed: ${missing.map(([program]) => program).join(", ")}`,
      `apt-get install ${missing.map(([, apt]) => apt).join(" ")}`,
    );
  }
  try {
    accessSync("/dev/net/tun", constants.R_OK | constants.W_OK);
  } catch {
    return noCards("/dev/net/tun cannot be opened", "modprobe tun");
  }
  return { kind: "namespace", owner: "root" };
}

export function noCards(why: string, cure: string): Extract<Availability, { kind: "none" }> {
  return { kind: "none", why, cure };
}
