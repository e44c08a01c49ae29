/** What the agent is told around a snapshot: to hold still before it, and after it that it is in another machine now. */
import { BangerError } from "../model/errors.ts";

type Fields = Readonly<Record<string, unknown>>;
/** Sends one request and returns its answer. */
export type Ask = (request: Fields) => Promise<Fields>;

/** A guest's network card, and its place in the network; addresses are IPv4 unless they say otherwise. */
export interface GuestCard {
  readonly mac: string;
  readonly address: string;
  readonly gateway: string;
  /** The same over IPv6; absent: the guest has none. */
  readonly ipv6?: { readonly address: string; readonly gateway: string } | undefined;
}

/** Who a guest is that goes on from a snapshot. What is left out stays as it was when the snapshot was made. */
export interface GuestIdentity {
  readonly hostname: string;
  /** /etc/machine-id: 32 hexadecimal digits in lower case. */
  readonly machineId: string;
  /** A UUID in lower case: what /proc/sys/kernel/random/boot_id shows from now on. */
  readonly bootId: string;
  readonly hosts?: readonly { readonly address: string; readonly names: readonly string[] }[];
  /** The card's new MAC and the guest's new place. */
  readonly network?: GuestCard | undefined;
  readonly nameservers?: readonly string[] | undefined;
  readonly search?: readonly string[] | undefined;
}

export interface ResumedGuest {
  /** The guest's wall clock is right to within so many milliseconds. */
  readonly clockErrorMs: number;
}

export interface FreezeOptions {
  /** Bring everything written to disk and stop writes; end files that are being written. */
  readonly fileSystems: boolean;
  /** Have every command stand still; in a clone they go on as part of the new machine, never before. */
  readonly commands: boolean;
  /** It ends by itself after so many milliseconds of the guest's own running time, at most 60,000. */
  readonly timeoutMs: number;
}

/** The clock is good enough. */
const CLOSE_MS = 10;
/** The first message is slow, because nothing of the agent has been translated yet; a later one sets the clock closely. */
const CLOCK_ROUNDS = 4;
const ENTROPY_BYTES = 32;

/** Random bytes for the guest's kernel, never the same. */
export function freshEntropy(): string {
  return Buffer.from(crypto.getRandomValues(new Uint8Array(ENTROPY_BYTES))).toString("base64");
}

/**
 * Has the guest hold still until `thawGuest` or `resumeGuest`, or until the time is over. May be repeated: the last one counts. Errors:
 * the guest's, and then nothing is frozen.
 */
export async function freezeGuest(ask: Ask, options: FreezeOptions): Promise<void> {
  await ask({ kind: "freeze", ...options });
}

/**
 * Lets everything go on. Safe to repeat. Errors: `failed_precondition` once after the guest has thawed by itself: what was copied of its
 * disks meanwhile is not of one moment.
 */
export async function thawGuest(ask: Ask): Promise<void> {
  await ask({ kind: "thaw" });
}

/**
 * Tells the guest that it has gone on from a snapshot: it thaws, takes up fresh entropy, and has a new name, new ids and the host's
 * time. To be called before anything else is asked of it. Errors: the guest's; `unsupported` from an agent that is too old to be
 * another machine.
 */
export async function resumeGuest(ask: Ask, identity: GuestIdentity): Promise<ResumedGuest> {
  let clockErrorMs = await setClock(ask, { ...identity, entropy: freshEntropy() });
  for (let round = 1; round < CLOCK_ROUNDS && clockErrorMs > CLOSE_MS; round += 1) {
    clockErrorMs = Math.min(clockErrorMs, await setClock(ask, {}));
  }
  return { clockErrorMs };
}

/**
 * Returns how wrong the guest's clock can be: the time that the message was under way there or the answer back. What the guest needed
 * in between is the difference of the time that it was given and the one that it answers.
 */
async function setClock(ask: Ask, fields: Fields): Promise<number> {
  const from = performance.now();
  const unixTimeMs = Date.now();
  const answer = await ask({ kind: "resumed", ...fields, unixTimeMs });
  const roundTripMs = performance.now() - from;
  const theirs = answer["unixTimeMs"];
  if (typeof theirs !== "number") {
    throw new BangerError("unsupported", "the guest's agent is too old to go on from a snapshot", {
      cure: "start the VM cold",
    });
  }
  const inGuestMs = Math.min(roundTripMs, Math.max(0, theirs - unixTimeMs));
  return Math.ceil(roundTripMs - inGuestMs);
}
