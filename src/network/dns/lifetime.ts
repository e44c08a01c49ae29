/** How long a DNS message may be kept, and the same message some seconds later: RFC 1035 section 4.1.3, RFC 2308 section 5. */

export interface Lifetime {
  /** Seconds, at least 1. */
  readonly seconds: number;
  /** Where the TTLs of its records stand. */
  readonly places: readonly number[];
}

const HEADER_BYTES = 12;
const SOA = 6;
/** Its TTL is none (RFC 6891, section 6.1.3). */
const OPT = 41;
/** TC, and the four bits of the code. */
const TRUNCATED = 0x02;
const NO_NAME = 3;

interface ResourceRecord {
  readonly type: number;
  /** Where its TTL stands; its data's length follows, and then the data. */
  readonly place: number;
  readonly end: number;
}

/** Undefined for what may not be kept: failures, answers that were cut, those with TTL 0, denials without an SOA, and what is no message. */
export function lifetimeOf(message: Uint8Array): Lifetime | undefined {
  if (message.length < HEADER_BYTES) return undefined;
  const view = new DataView(message.buffer, message.byteOffset, message.length);
  const code = view.getUint8(3) & 0x0f;
  if ((view.getUint8(2) & TRUNCATED) !== 0 || (code !== 0 && code !== NO_NAME)) return undefined;
  const records = readRecords(view);
  if (records === undefined) return undefined;
  const timed = records.filter(({ type }) => type !== OPT);
  const lives = timed.map(({ place }) => view.getUint32(place));
  const answers = view.getUint16(6);
  if (code === NO_NAME || answers === 0) {
    const soa = records.find(({ type, place, end }) => type === SOA && end - place >= 10);
    if (soa === undefined) return undefined;
    lives.push(view.getUint32(soa.end - 4));
  }
  const seconds = Math.min(...lives);
  // One with the highest bit set counts as 0 (RFC 2181, section 8).
  if (lives.length === 0 || seconds === 0 || lives.some((life) => life > 0x7fff_ffff)) return undefined;
  return { seconds, places: timed.map(({ place }) => place) };
}

/** The same message with `id` and TTLs that are `ageS` shorter; `ageS` is below its lifetime. */
export function aged(
  message: Uint8Array,
  { places }: Lifetime,
  { id, ageS }: { readonly id: number; readonly ageS: number },
): Uint8Array {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  for (const place of places) copy.writeUInt32BE(copy.readUInt32BE(place) - ageS, place);
  return copy;
}

/** The records of all sections; undefined when they do not fill the message as they should. */
function readRecords(view: DataView): ResourceRecord[] | undefined {
  let at: number | undefined = HEADER_BYTES;
  for (let left = view.getUint16(4); left > 0 && at !== undefined; left -= 1) at = past(view, at, 4);
  const records: ResourceRecord[] = [];
  const count = view.getUint16(6) + view.getUint16(8) + view.getUint16(10);
  for (let left = count; left > 0 && at !== undefined; left -= 1) {
    // Type, class, TTL, length.
    const data = past(view, at, 10);
    if (data === undefined) return undefined;
    const end = data + view.getUint16(data - 2);
    if (end > view.byteLength) return undefined;
    records.push({ type: view.getUint16(data - 10), place: data - 6, end });
    at = end;
  }
  return at === undefined ? undefined : records;
}

/** Where the `fixed` bytes behind the name at `at` end. */
function past(view: DataView, at: number, fixed: number): number | undefined {
  for (let place = at; place < view.byteLength; ) {
    const length = view.getUint8(place);
    const isPointer = (length & 0xc0) === 0xc0;
    if (length !== 0 && !isPointer) {
      if (length > 63) return undefined;
      place += 1 + length;
      continue;
    }
    const end = place + (isPointer ? 2 : 1) + fixed;
    return end <= view.byteLength ? end : undefined;
  }
  return undefined;
}
