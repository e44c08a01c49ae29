/** The IPv6 plan: each guest's address is its IPv4 address inside a unique local network (RFC 4193), so that it is reserved with it. */

import { LINK_LOCAL } from "./address-ranges.ts";
import { NOWHERE } from "./addresses.ts";
import { BangerError } from "./errors.ts";
import { type Cidr, contains, formatCidr, formatIp, overlap, parseCidr, parseIp } from "./ip.ts";

/** Behind a longer prefix there is no room for an IPv4 address; a shorter one than the least would be everybody's. */
const BITS = { min: 16, max: 96 };
const EXAMPLE = "fd5b:a9e1:30c7::/64";

/** Where the uplink's own addresses are: in no plan. */
export const UPLINK_NET6 = "fd62:616e:6765:7200::/64";

/** fc00::/7 with the bit for "chosen by whoever uses it": the other half of it is for nobody yet (RFC 4193, section 3.1). */
const UNIQUE_LOCAL: Cidr = known("fd00::/8");

/** Returns a pool that guests can have addresses of, in its written form (RFC 5952). Errors: `invalid_argument`, with the cure. */
export function validatePool6(text: string): string {
  const net = parseCidr(text);
  if (net === undefined || net.family !== 6 || net.bits < BITS.min || net.bits > BITS.max) {
    throw refused(text, `is not an IPv6 network from /${BITS.min} to /${BITS.max}`, EXAMPLE);
  }
  if (!contains(UNIQUE_LOCAL, net)) throw refused(text, "is not unique local (fd00::/8)", EXAMPLE);
  if (net.base !== parseIp(text.slice(0, text.indexOf("/")))?.value) {
    throw refused(text, "is a part of a network", formatCidr(net));
  }
  const range = LINK_LOCAL.find((one) => overlap(one.net, net));
  if (range !== undefined) throw refused(text, `has ${range.what} addresses`, EXAMPLE);
  if (overlap(known(UPLINK_NET6), net))
    throw refused(text, "has the addresses of banger's own uplink", EXAMPLE);
  return formatCidr(net);
}

/** The IPv6 address that goes with an IPv4 address of the plan; undefined for what has no place. */
export function address6Of(pool6: string, address: string): string | undefined {
  const [net, ip] = [parseCidr(pool6), parseIp(address)];
  if (net === undefined || ip === undefined || address === NOWHERE) return undefined;
  return formatIp({ family: 6, value: net.base + ip.value });
}

/** The namespace's own address in the pool: the gateway of its guests. No guest has it, because none has the IPv4 address 0.0.0.1. */
export function gateway6Of(pool6: string): string {
  return formatIp({ family: 6, value: known(pool6).base + 1n });
}

/** The link-local address that a card with this MAC gives itself (RFC 4291, appendix A). */
export function linkLocalOf(mac: string): string {
  const [first = 0, ...rest] = mac.split(":").map((byte) => Number.parseInt(byte, 16));
  const bytes = [first ^ 2, ...rest.slice(0, 2), 0xff, 0xfe, ...rest.slice(2)];
  const low = bytes.reduce((value, byte) => value * 256n + BigInt(byte), 0n);
  return formatIp({ family: 6, value: (0xfe80n << 112n) + low });
}

function known(text: string): Cidr {
  const net = parseCidr(text);
  if (net === undefined) throw new Error(`${text} is no network`);
  return net;
}

function refused(text: string, why: string, example: string): BangerError {
  return new BangerError("invalid_argument", `the address pool ${JSON.stringify(text)} ${why}`, {
    cure: `write a network such as ${example}`,
  });
}
