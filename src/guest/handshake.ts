/** Making a connection on a channel that may hold the tail of an earlier one: protocol/README.md section 2. */
import { randomBytes } from "node:crypto";
import type { Duplex } from "node:stream";
import { BangerError } from "../model/errors.ts";
import { encodeFrame, FRAME, HANDSHAKE_TAG, MAX_PAYLOAD, OVERHEAD } from "./frames.ts";

/** The newest generation of the protocol that this side speaks. */
export const GENERATION = 1;
/** Streams that every agent serves at once. */
export const LEAST_STREAMS = 256;
/** Streams that one connection holds at most, whatever the agent says. */
const MAX_STREAMS = 2_048;
/** At most so many stale bytes are discarded before the ACK. */
const MAX_DISCARD = 16 * 1024 * 1024;

/** What the agent says of itself and its kernel in the ACK. */
export interface AgentFacts {
  readonly agent: string;
  readonly bootId: string;
  readonly kernel: string;
  readonly uptimeMs: number;
  readonly configured: boolean;
  /** Streams that it serves at once. */
  readonly streams: number;
}

export interface Handshake {
  readonly facts: AgentFacts;
  readonly tag: number;
  readonly generation: number;
  /** Bytes that came after the ACK. */
  readonly rest: Uint8Array;
}

/**
 * Sends SYNC and waits for its ACK. `fresh` says that the channel has carried nothing before. Leaves no listener on
 * the channel, which is paused. Errors: `guest_error` for a channel that ends, answers nonsense, or answers nothing within
 * 16 MiB; `cancelled` by `signal`.
 */
export async function handshake(
  channel: Duplex,
  options: { readonly fresh: boolean; readonly signal: AbortSignal },
): Promise<Handshake> {
  const nonce = freshNonce();
  const sync = new Uint8Array(18);
  sync.set(nonce);
  new DataView(sync.buffer).setUint16(16, GENERATION, true);
  if (!options.fresh) channel.write(new Uint8Array(MAX_PAYLOAD + OVERHEAD));
  channel.write(encodeFrame(FRAME.sync, 0, sync, HANDSHAKE_TAG));
  return await receiveAck(channel, nonce, options.signal);
}

function freshNonce(): Buffer {
  const nonce = randomBytes(16);
  return nonce.readUInt32LE(0) === 0 ? freshNonce() : nonce;
}

async function receiveAck(channel: Duplex, nonce: Buffer, signal: AbortSignal): Promise<Handshake> {
  return await new Promise((resolve, reject) => {
    let seen: Buffer = Buffer.alloc(0);
    let discarded = 0;
    const settle = (finish: () => void): void => {
      channel.off("data", onData).off("close", onClose).off("error", onClose);
      signal.removeEventListener("abort", onAbort);
      channel.pause();
      finish();
    };
    const onData = (bytes: Buffer): void => {
      seen = Buffer.concat([seen, bytes]);
      try {
        const found = findAck(seen, nonce);
        if (typeof found !== "number") {
          settle(() => resolve(found));
          return;
        }
        discarded += found;
        seen = seen.subarray(found);
        if (discarded > MAX_DISCARD)
          throw new BangerError("guest_error", "the guest agent did not answer SYNC");
      } catch (error) {
        settle(() => reject(BangerError.from(error)));
      }
    };
    const onClose = (): void =>
      settle(() =>
        reject(new BangerError("guest_error", "the agent channel closed before the agent answered")),
      );
    const onAbort = (): void => settle(() => reject(BangerError.from(signal.reason)));
    if (signal.aborted) return onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    channel.on("data", onData).on("close", onClose).on("error", onClose);
    channel.resume();
    return undefined;
  });
}

/** The ACK in `bytes`, or how many leading bytes cannot be part of it. What merely repeats the nonce, as an echo does, is passed over. */
function findAck(bytes: Buffer, nonce: Buffer): Handshake | number {
  for (let from = 0; ; ) {
    const at = bytes.indexOf(nonce, from);
    if (at < 0) return Math.max(from, bytes.length - (nonce.length + 8) + 1);
    const found = ackAround(bytes, at, nonce);
    if (found !== undefined) return found;
    from = at + 1;
  }
}

/** The ACK whose nonce is at `at`; where it begins, when more of it is to come; undefined when that is none. */
function ackAround(bytes: Buffer, at: number, nonce: Buffer): Handshake | number | undefined {
  const start = at - 8;
  if (start < 0 || bytes.readUInt8(start) !== FRAME.ack || bytes.readUInt32LE(start + 4) !== 0)
    return undefined;
  const length = bytes.readUIntLE(start + 1, 3);
  if (length < 18 || length > MAX_PAYLOAD) return undefined;
  const end = start + OVERHEAD + length;
  if (bytes.length < end) return start;
  if (bytes.readUInt32LE(end - 4) !== HANDSHAKE_TAG) return undefined;
  return {
    facts: parseFacts(bytes.subarray(at + 18, end - 4)),
    tag: nonce.readUInt32LE(0),
    generation: Math.min(GENERATION, bytes.readUInt16LE(at + 16)),
    rest: bytes.subarray(end),
  };
}

function parseFacts(json: Buffer): AgentFacts {
  const facts: unknown = parseJson(json);
  if (typeof facts === "object" && facts !== null) {
    const field = (name: string): unknown => (facts as Record<string, unknown>)[name];
    const [agent, bootId, kernel, uptimeMs] = [
      field("agent"),
      field("bootId"),
      field("kernel"),
      field("uptimeMs"),
    ];
    if (isShort(agent) && isShort(bootId) && isShort(kernel) && typeof uptimeMs === "number") {
      const configured = field("configured") === true;
      return { agent, bootId, kernel, uptimeMs, configured, streams: streamsOf(field("streams")) };
    }
  }
  throw new BangerError("guest_error", "the guest agent introduced itself with nonsense");
}

/** An agent that does not say is of the time when all had the same number. */
function streamsOf(value: unknown): number {
  const isNumber = typeof value === "number" && Number.isInteger(value) && value >= LEAST_STREAMS;
  return isNumber ? Math.min(value, MAX_STREAMS) : LEAST_STREAMS;
}

function isShort(value: unknown): value is string {
  return typeof value === "string" && value.length <= 128 && /^[ -~]*$/.test(value);
}

/** Parses the agent's JSON. Errors: `guest_error`. */
export function parseJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new BangerError("guest_error", "the guest agent sent text that is not JSON", { cause: error });
  }
}
