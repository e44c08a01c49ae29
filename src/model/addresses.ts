/** The address plan: which guest addresses a pool holds, and which one comes next. IPv4, RFC 4632 notation. */
import { LINK_LOCAL, UNROUTABLE } from "./address-ranges.ts";
import { BangerError } from "./errors.ts";
import { overlap, parseCidr } from "./ip.ts";

/** The default pool; its first address is the host's side. */
export const DEFAULT_POOL = "172.16.0.0/24";

/** The address of what has no place in the network: none of any plan. */
export const NOWHERE = "0.0.0.0";

/**
 * The lowest free guest address of `pool` (`a.b.c.d/n`, n from 8 to 30). Network, host (first) and broadcast address are
 * never given out. Errors: `resource_exhausted` when all are in use, `invalid_argument` for a bad pool.
 */
export function nextAddress(pool: string, used: ReadonlySet<string>): string {
  const { base, size } = parsePool(pool);
  for (let offset = 2; offset < size - 1; offset += 1) {
    const address = formatAddress(base + offset);
    if (!used.has(address)) return address;
  }
  throw new BangerError("resource_exhausted", `all ${size - 3} guest addresses of ${pool} are in use`, {
    cure: "remove VMs that are no longer needed with: banger rm NAME",
    details: { pool },
  });
}

/** Returns a pool that is well formed and that guests can have addresses of. Errors: `invalid_argument`, with the cure. */
export function validatePool(pool: string): string {
  const { base, size } = parsePool(pool);
  const written = `${formatAddress(base)}/${prefixOf(pool)}`;
  const net = parseCidr(written);
  const found = [...UNROUTABLE, ...LINK_LOCAL].find((range) => net !== undefined && overlap(range.net, net));
  if (found !== undefined) {
    throw new BangerError("invalid_argument", `the address pool ${pool} has ${found.what} addresses`, {
      cure: `use a private network that nothing else here uses, such as ${DEFAULT_POOL} or 10.64.0.0/16`,
    });
  }
  if (written !== pool) {
    throw new BangerError("invalid_argument", `the address pool ${pool} is a part of a network of ${size}`, {
      cure: `write the network: ${written}`,
    });
  }
  return pool;
}

/** The host's side of a pool: its first address, where guests find their gateway and resolver. */
export function gatewayOf(pool: string): string {
  return formatAddress(parsePool(pool).base + 1);
}

/** Bits of the pool's prefix. */
export function prefixOf(pool: string): number {
  return Number(pool.slice(pool.indexOf("/") + 1));
}

/**
 * The MAC of a guest, made of its address so that both stay for the VM's life: locally administered and unicast (IEEE 802-2014,
 * section 8.2), the four bytes of the address behind `02:62`.
 */
export function macFromAddress(address: string): string {
  const bytes = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
  return ["02", "62", ...bytes].join(":");
}

function parsePool(pool: string): { base: number; size: number } {
  const match = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})\/(\d{1,2})$/.exec(pool);
  const bytes = match?.slice(1, 5).map(Number) ?? [];
  const bits = Number(match?.[5]);
  if (match === null || bytes.some((byte) => byte > 255) || bits < 8 || bits > 30) {
    throw new BangerError(
      "invalid_argument",
      `the address pool ${JSON.stringify(pool)} is not like 172.16.0.0/24`,
    );
  }
  const size = 2 ** (32 - bits);
  const value = bytes.reduce((sum, byte) => sum * 256 + byte, 0);
  return { base: Math.floor(value / size) * size, size };
}

function formatAddress(value: number): string {
  return [value / 2 ** 24, value / 2 ** 16, value / 256, value]
    .map((part) => Math.floor(part) % 256)
    .join(".");
}
