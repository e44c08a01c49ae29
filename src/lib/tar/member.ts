/** One member of a tar archive: its header blocks, both ways. Names are bytes. The format is that of protocol/README.md. */
import { BangerError } from "../../model/errors.ts";

export const BLOCK = 512;

export type MemberKind = "file" | "hardlink" | "symlink" | "character" | "block" | "directory" | "fifo";

/** A member without its content. */
export interface Member {
  readonly name: Buffer;
  readonly kind: MemberKind;
  /** Target of a link. */
  readonly link: Buffer;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of content in the archive. */
  readonly size: number;
  readonly mtime: { readonly seconds: number; readonly nanoseconds: number };
  /** The size of a sparse file, whose content begins with its map. */
  readonly sparse?: number | undefined;
}

/** A header as it stands: the member, and the type flag, which may be one of an extended header. */
export interface ParsedHeader {
  readonly member: Member;
  readonly flag: string;
}

const KINDS: Readonly<Record<string, MemberKind>> = {
  "\0": "file",
  "0": "file",
  "7": "file",
  "1": "hardlink",
  "2": "symlink",
  "3": "character",
  "4": "block",
  "5": "directory",
  "6": "fifo",
};
const FLAGS: Readonly<Record<MemberKind, string>> = {
  file: "0",
  hardlink: "1",
  symlink: "2",
  character: "3",
  block: "4",
  directory: "5",
  fifo: "6",
};
const MAGIC = "ustar\x0000";
/** Nanoseconds in the padding of the header, which nobody else reads. */
const NANOSECONDS = "bng";

/** The header, after a pax header with what does not fit it. */
export function encodeMember(member: Member): Buffer {
  const records: Buffer[] = [];
  const record = (key: string, value: Buffer | string): void => {
    records.push(encodeRecord(key, typeof value === "string" ? Buffer.from(value) : value));
  };
  const header = Buffer.alloc(BLOCK);
  if (member.sparse === undefined) {
    putText(header, [0, 100], member.name, () => record("path", member.name));
  } else {
    record("GNU.sparse.major", "1");
    record("GNU.sparse.minor", "0");
    record("GNU.sparse.name", member.name);
    record("GNU.sparse.realsize", String(member.sparse));
    header.write("GNUSparseFile.0/file", 0, "latin1");
  }
  putText(header, [157, 257], member.link, () => record("linkpath", member.link));
  putOctal(header, [100, 108], member.mode);
  for (const [range, key, value] of [
    [[108, 116], "uid", member.uid],
    [[116, 124], "gid", member.gid],
    [[124, 136], "size", member.size],
  ] as const) {
    if (!putOctal(header, range, value)) record(key, String(value));
  }
  const { seconds, nanoseconds } = member.mtime;
  if (seconds >= 0 && putOctal(header, [136, 148], seconds)) {
    header.write(NANOSECONDS + String(nanoseconds).padStart(9, "0"), 500, "latin1");
  } else {
    record("mtime", String(seconds));
  }
  seal(header, FLAGS[member.kind]);
  if (records.length === 0) return header;
  const extended = Buffer.concat(records);
  const pax = Buffer.alloc(BLOCK);
  pax.write("PaxHeader", 0, "latin1");
  putOctal(pax, [100, 108], 0o600);
  putOctal(pax, [124, 136], extended.length);
  seal(pax, "x");
  return Buffer.concat([pax, extended, Buffer.alloc(padding(extended.length)), header]);
}

/** Reads a header block; undefined for the end mark. Errors: `invalid_argument`. */
export function parseHeader(header: Buffer): ParsedHeader | undefined {
  if (header.every((byte) => byte === 0)) return undefined;
  if (getNumber(header, [148, 156]) !== checksum(header)) throw damaged("a header is malformed");
  const flag = header.toString("latin1", 156, 157);
  const base = text(header, [0, 100]);
  const prefix = header.toString("latin1", 257, 265) === MAGIC ? text(header, [345, 500]) : Buffer.alloc(0);
  const nanoseconds = /^bng(\d{9})$/.exec(header.toString("latin1", 500, 512))?.[1];
  return {
    flag,
    member: {
      name: prefix.length === 0 ? base : Buffer.concat([prefix, Buffer.from("/"), base]),
      kind: KINDS[flag] ?? "file",
      link: text(header, [157, 257]),
      mode: getNumber(header, [100, 108]) & 0o7777,
      uid: getNumber(header, [108, 116]),
      gid: getNumber(header, [116, 124]),
      size: getNumber(header, [124, 136]),
      mtime: { seconds: getNumber(header, [136, 148]), nanoseconds: Number(nanoseconds ?? 0) },
    },
  };
}

/** Whether a type flag names a kind of member. */
export function isMemberFlag(flag: string): boolean {
  return flag in KINDS;
}

/** What pax records say of the member behind them. Errors: `invalid_argument`. */
export function applyRecords(member: Member, records: Buffer): Member {
  let changed = member;
  let rest = records;
  while (rest.length > 0) {
    const blank = rest.subarray(0, 20).indexOf(0x20);
    const length = decimal(rest.subarray(0, Math.max(0, blank)));
    const body = rest.subarray(blank + 1, length);
    const equals = body.indexOf(0x3d);
    if (length > rest.length || length <= blank || equals <= 0 || body.at(-1) !== 0x0a) {
      throw damaged("an extended header is malformed");
    }
    const value = body.subarray(equals + 1, -1);
    changed = { ...changed, ...obey(changed, body.toString("latin1", 0, equals), value) };
    rest = rest.subarray(length);
  }
  return changed;
}

/** Zero bytes that fill the last block. */
export function padding(size: number): number {
  return (BLOCK - (size % BLOCK)) % BLOCK;
}

/** `invalid_argument`: the archive is none. */
export function damaged(why: string): BangerError {
  return new BangerError("invalid_argument", `the archive is damaged or not a tar: ${why}`);
}

function obey(member: Member, key: string, value: Buffer): Partial<Member> {
  switch (key) {
    case "path":
      return member.sparse === undefined ? { name: value } : {};
    case "GNU.sparse.name":
      return { name: value };
    case "linkpath":
      return { link: value };
    case "size":
      return { size: decimal(value) };
    case "uid":
      return { uid: decimal(value) };
    case "gid":
      return { gid: decimal(value) };
    case "GNU.sparse.realsize":
      return { sparse: decimal(value) };
    case "mtime": {
      const seconds = Number(value.toString("latin1"));
      if (!Number.isFinite(seconds)) throw damaged("an extended header is malformed");
      const whole = Math.floor(seconds);
      return { mtime: { seconds: whole, nanoseconds: Math.round((seconds - whole) * 1e9) % 1e9 } };
    }
    default:
      return {};
  }
}

function encodeRecord(key: string, value: Buffer): Buffer {
  const rest = Buffer.byteLength(key) + value.length + 3;
  let length = rest + 1;
  while (length !== rest + String(length).length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from("\n")]);
}

type Range = readonly [number, number];

function putText(header: Buffer, [from, to]: Range, value: Buffer, tooLong: () => void): void {
  value.copy(header, from, 0, to - from);
  if (value.length > to - from) tooLong();
}

function putOctal(header: Buffer, [from, to]: Range, value: number): boolean {
  const digits = value.toString(8);
  if (digits.length > to - from - 1) return false;
  header.write(digits.padStart(to - from - 1, "0"), from, "latin1");
  return true;
}

function text(header: Buffer, [from, to]: Range): Buffer {
  const field = header.subarray(from, to);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end));
}

function getNumber(header: Buffer, [from, to]: Range): number {
  const first = header[from] ?? 0;
  if ((first & 0x80) !== 0) {
    let value = 0;
    for (const byte of header.subarray(from + 1, to)) value = value * 256 + byte;
    if (first === 0x80 && Number.isSafeInteger(value)) return value;
    throw damaged("a number is out of range");
  }
  const digits = text(header, [from, to]).toString("latin1").trim();
  if (!/^[0-7]*$/.test(digits)) throw damaged("a number is malformed");
  return digits === "" ? 0 : Number.parseInt(digits, 8);
}

/** Decimal digits. Errors: `invalid_argument`. */
export function decimal(value: Buffer): number {
  const digits = value.toString("latin1");
  const number = Number(digits);
  if (/^\d{1,16}$/.test(digits) && Number.isSafeInteger(number)) return number;
  throw damaged("a number is malformed");
}

function seal(header: Buffer, flag: string): void {
  header.write(flag, 156, "latin1");
  header.write(MAGIC, 257, "latin1");
  header.write(`${checksum(header).toString(8).padStart(6, "0")}\0 `, 148, "latin1");
}

/** The sum of all bytes, the field of the sum itself taken as blanks. */
function checksum(header: Buffer): number {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at += 1) if (at < 148 || at >= 156) sum += header[at] ?? 0;
  return sum;
}
