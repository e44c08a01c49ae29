/** What published ports may take of this host. */

/** Connections to the published ports of one VM at once, each with a descriptor here and one in the guest. */
export const MAX_CONNECTIONS = 1_920;
/** What the windows of a VM's connections add up to, roughly: each gets its share when it begins. */
const WINDOW_BUDGET = 16 * 1024 * 1024;
const LARGEST_WINDOW = 262_144;
const SMALLEST_WINDOW = 8_192;
/** The largest UDP datagram over IPv4 has 65,507 bytes. */
const DATAGRAM_WINDOW = 65_536;
/** Datagrams of one peer that wait until the guest can be reached. */
export const MAX_WAITING_DATAGRAMS = 16;
/** Who connects to a VM that an earlier daemon left waits so long at most until the VM answers. A start has a deadline of its own. */
export const HELD_MS = 30_000;
/** A UDP peer that nothing was heard from or said to for so long is forgotten. */
export const PEER_IDLE_MS = 60_000;

/**
 * Bytes under way each way for the `nth` of the VM's open connections. The k-th oldest that is open has at most the k-th share, so
 * that all together stay below five budgets however many come and go.
 */
export function windowOf(protocol: "tcp" | "udp", nth: number): number {
  const share = Math.floor(WINDOW_BUDGET / Math.max(1, nth));
  const least = protocol === "udp" ? DATAGRAM_WINDOW : SMALLEST_WINDOW;
  return Math.max(least, Math.min(LARGEST_WINDOW, share));
}
/** How long a guest may take to answer at its address before it is reached over the agent's channel. */
export const ROUTE_MS = 1_000;
/** So long it is not tried again at the address where a port of it did not answer. */
export const SILENT_MS = 60_000;
