/** PAX extended headers (pax(1), "pax Extended Header"): records of `length key=value\n`. */
import { type ByteString, damagedTar } from "./entry.ts";

/** In the order they stand there: the oldest sparse format repeats keys. */
export type PaxRecords = readonly (readonly [key: ByteString, value: ByteString])[];

/** Errors: `invalid_argument` (a record that is none). */
export function parsePax(bytes: Buffer): PaxRecords {
  const records: (readonly [string, string])[] = [];
  let at = 0;
  while (at < bytes.length) {
    const space = bytes.indexOf(0x20, at);
    const digits = space < 0 || space - at > 8 ? "" : bytes.toString("latin1", at, space);
    const end = /^[1-9]\d*$/u.test(digits) ? at + Number(digits) : 0;
    if (end <= space + 1 || end > bytes.length || bytes[end - 1] !== 0x0a) {
      throw damagedTar("an extended header has a record that is none");
    }
    const equals = bytes.indexOf(0x3d, space + 1);
    if (equals < 0 || equals >= end || equals === space + 1) {
      throw damagedTar("an extended header has a record without a key");
    }
    const key = bytes.toString("latin1", space + 1, equals);
    if (/[\0\n]/u.test(key)) throw damagedTar("an extended header has a record with a malformed key");
    records.push([key, bytes.toString("latin1", equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** A whole number of an extended header. Errors: `invalid_argument`. */
export function paxNumber(value: ByteString): number {
  const number = /^\d{1,16}$/u.test(value) ? Number(value) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw damagedTar("an extended header holds a number that is none");
  return number;
}

/** A time in seconds, its fraction dropped downwards as the kernel would. Errors: `invalid_argument`. */
export function paxSeconds(value: ByteString): number {
  const number = /^-?\d{1,15}(?:\.\d{0,32})?$/u.test(value) ? Math.floor(Number(value)) : Number.NaN;
  if (!Number.isSafeInteger(number)) throw damagedTar("an extended header holds a time that is none");
  return number;
}
