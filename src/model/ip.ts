/** IP addresses and networks as numbers. Text forms: RFC 4291 section 2.2 (IPv6), RFC 4632 (CIDR). */

export type Family = 4 | 6;

export interface Ip {
  readonly family: Family;
  readonly value: bigint;
}

/** A network: `bits` of `base` count, the rest of `base` is zero. */
export interface Cidr {
  readonly family: Family;
  readonly base: bigint;
  readonly bits: number;
}

/** Parses a dotted IPv4 or a colon IPv6 address; undefined for anything else (zones and leading zeros included). */
export function parseIp(text: string): Ip | undefined {
  if (text.length > 45) return undefined;
  const value = text.includes(":") ? ipv6Value(text) : ipv4Value(text);
  return value === undefined ? undefined : { family: text.includes(":") ? 6 : 4, value };
}

/** Parses `address/bits`, or an address alone as a network of one. Bits behind the prefix are cleared. */
export function parseCidr(text: string): Cidr | undefined {
  const slash = text.indexOf("/");
  const ip = parseIp(slash < 0 ? text : text.slice(0, slash));
  if (ip === undefined) return undefined;
  const width = widthOf(ip.family);
  const digits = slash < 0 ? String(width) : text.slice(slash + 1);
  if (!/^\d{1,3}$/.test(digits) || Number(digits) > width) return undefined;
  return network(ip, Number(digits));
}

/** The network of `bits` that an address lies in. */
export function network({ family, value }: Ip, bits: number): Cidr {
  const free = BigInt(widthOf(family) - bits);
  return { family, base: (value >> free) << free, bits };
}

export function contains(outer: Cidr, inner: Cidr | Ip): boolean {
  const [value, bits] = "value" in inner ? [inner.value, widthOf(inner.family)] : [inner.base, inner.bits];
  if (outer.family !== inner.family || outer.bits > bits) return false;
  return network({ family: outer.family, value }, outer.bits).base === outer.base;
}

/** Whether the two have an address in common. */
export function overlap(one: Cidr, other: Cidr): boolean {
  return contains(one, other) || contains(other, one);
}

export function formatIp({ family, value }: Ip): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => (value >> shift) & 255n).join(".");
  const groups = Array.from({ length: 8 }, (_, at) => (value >> BigInt(16 * (7 - at))) & 0xffffn);
  const text = groups.map((group) => group.toString(16)).join(":");
  // RFC 5952, section 4.2: the longest run of zeros, the first of equals, two groups at least.
  const runs = text.match(/(?:^|:)0(?::0)+(?=:|$)/g) ?? [];
  const longest = runs.toSorted((a, b) => b.replace(/^:/, "").length - a.replace(/^:/, "").length)[0];
  if (longest === undefined) return text;
  const at = text.indexOf(longest);
  return `${text.slice(0, at)}::${text.slice(at + longest.length).replace(/^:/, "")}`;
}

/** An address alone for a network of one. */
export function formatCidr({ family, base, bits }: Cidr): string {
  const address = formatIp({ family, value: base });
  return bits === widthOf(family) ? address : `${address}/${bits}`;
}

export function widthOf(family: Family): 32 | 128 {
  return family === 4 ? 32 : 128;
}

function ipv4Value(text: string): bigint | undefined {
  const parts = text.split(".");
  // A leading zero is octal to some readers and decimal to others.
  if (parts.length !== 4 || !parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256)) {
    return undefined;
  }
  return parts.reduce((value, part) => value * 256n + BigInt(part), 0n);
}

function ipv6Value(text: string): bigint | undefined {
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted !== null) {
    const low = ipv4Value(dotted[2] ?? "");
    if (low === undefined) return undefined;
    return ipv6Value(`${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`);
  }
  const halves = text.split("::");
  const groups = halves.map((half) => (half === "" ? [] : half.split(":")));
  const count = groups.flat().length;
  if (halves.length > 2 || (halves.length === 2 ? count > 7 : count !== 8)) return undefined;
  if (!groups.flat().every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  const zeros = Array.from({ length: 8 - count }, () => "0");
  const all = [...(groups[0] ?? []), ...zeros, ...(groups[1] ?? [])];
  return all.reduce((value, group) => value * 65536n + BigInt(`0x${group}`), 0n);
}
