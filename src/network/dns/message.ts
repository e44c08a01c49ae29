/** DNS messages as far as a forwarder reads them: RFC 1035 section 4, in the wire format of the library dns-packet. */
import { type Answer, decode, encode, type Packet, RECURSION_AVAILABLE, RECURSION_DESIRED } from "dns-packet";

export interface Query {
  readonly id: number;
  /** Lower case, without a dot at its end. */
  readonly name: string;
  /** As dns-packet spells it, such as `A`. */
  readonly type: string;
  readonly packet: Packet;
}

/** RFC 1035, section 4.1.1. */
export const RCODES = { ok: 0, malformed: 1, failed: 2, noName: 3, unsupported: 4, refused: 5 } as const;

export interface Found {
  /** Addresses of A and AAAA records. */
  readonly addresses: readonly string[];
  /** The shortest life of a record of the answer, in seconds; 0 without one. */
  readonly ttlS: number;
}

const HEADER_BYTES = 12;

/** Parses a query; a code of `RCODES` for what is not one that is answered, undefined when there is nobody to answer. */
export function parseQuery(bytes: Uint8Array): Query | number | undefined {
  if (bytes.byteLength < HEADER_BYTES || ((bytes[2] ?? 0) & 0x80) !== 0) return undefined;
  if (((bytes[2] ?? 0) & 0x78) !== 0) return RCODES.unsupported;
  const packet = decodePacket(bytes);
  const [question, ...more] = packet?.questions ?? [];
  if (packet === undefined || question === undefined || more.length > 0) return RCODES.malformed;
  const name = question.name.toLowerCase().replace(/\.$/, "");
  return { id: idOf(bytes), name, type: question.type, packet };
}

/** The addresses in an answer to this query; undefined when it is none. */
export function readAnswer(bytes: Uint8Array, query: Query): Found | undefined {
  const packet = bytes.byteLength < HEADER_BYTES ? undefined : decodePacket(bytes);
  const [question] = packet?.questions ?? [];
  if (packet === undefined || packet.type !== "response" || question === undefined) return undefined;
  if (question.name.toLowerCase().replace(/\.$/, "") !== query.name || question.type !== query.type)
    return undefined;
  const records = packet.answers ?? [];
  const ttls = records.flatMap((record) => ("ttl" in record && record.ttl !== undefined ? [record.ttl] : []));
  return {
    addresses: records.flatMap((record) =>
      record.type === "A" || record.type === "AAAA" ? [record.data] : [],
    ),
    ttlS: ttls.length === 0 ? 0 : Math.min(...ttls),
  };
}

/** An answer of our own. */
export function createAnswer(query: Query, rcode: number, answers: readonly Answer[] = []): Uint8Array {
  const { questions = [], flags = 0 } = query.packet;
  return encode({
    type: "response",
    id: query.id,
    flags: (flags & RECURSION_DESIRED) | RECURSION_AVAILABLE | rcode,
    questions,
    answers: [...answers],
  });
}

/** A header alone, for a message that could not be read. */
export function createRefusal(bytes: Uint8Array, rcode: number): Uint8Array {
  const answer = Buffer.alloc(HEADER_BYTES);
  answer.writeUInt16BE(idOf(bytes), 0);
  answer.writeUInt16BE(0x8000 | RECURSION_AVAILABLE | rcode, 2);
  return answer;
}

/** Whether an answer says that it was cut to fit a datagram. */
export function isTruncated(bytes: Uint8Array): boolean {
  return ((bytes[2] ?? 0) & 0x02) !== 0;
}

export function idOf(bytes: Uint8Array): number {
  return ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0);
}

/** The same message with another id. */
export function withId(bytes: Uint8Array, id: number): Uint8Array {
  const copy = Buffer.from(bytes);
  copy.writeUInt16BE(id, 0);
  return copy;
}

function decodePacket(bytes: Uint8Array): Packet | undefined {
  try {
    return decode(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  } catch {
    // The library throws for whatever is no message, without a kind of its own.
    return undefined;
  }
}
