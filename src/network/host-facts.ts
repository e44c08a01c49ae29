/** What the host's own network looks like, read without another process. */
import { existsSync, readFileSync } from "node:fs";
import { networkInterfaces } from "node:os";
import { type Cidr, formatIp, type Ip, network, overlap, parseCidr, parseIp } from "../model/ip.ts";

export interface HostRoute {
  readonly device: string;
  readonly net: Cidr;
}

/** The addresses of every interface of the host that is up, IPv4 and IPv6. */
export function hostAddresses(): Ip[] {
  const all = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
  return all.flatMap(({ address }) => parseIp(address) ?? []);
}

/** The names of the network devices of this thread's namespace (proc_pid_net(5): dev). */
export function listDevices(): Set<string> {
  const lines = readFileSync("/proc/thread-self/net/dev", "latin1").split("\n").slice(2);
  return new Set(lines.map((line) => line.split(":", 1)[0]?.trim() ?? ""));
}

/** The IPv4 routes of the main table but the default ones (proc_net(5): /proc/net/route). */
export function hostRoutes(): HostRoute[] {
  return parseRoutes(readFileSync("/proc/thread-self/net/route", "latin1"));
}

/** The IPv6 routes of every table but default, multicast and loopback ones (net/ipv6/route.c: rt6_info_route of /proc/net/ipv6_route). */
export function hostRoutes6(): HostRoute[] {
  return hasIpv6() ? parseRoutes6(readFileSync("/proc/thread-self/net/ipv6_route", "latin1")) : [];
}

/** Whether the kernel speaks IPv6 at all. */
export function hasIpv6(): boolean {
  return existsSync("/proc/sys/net/ipv6/conf/all");
}

/** The text form of the file: destination and prefix first, the device last, numbers hexadecimal. Lines that make no sense are left out. */
export function parseRoutes6(text: string): HostRoute[] {
  return text.split("\n").flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    const [base = "", bits = "", device = ""] = [fields[0], fields[1], fields[9]];
    if (!/^[0-9a-f]{32}$/.test(base) || !/^[0-9a-f]{2}$/.test(bits) || device === "") return [];
    const prefix = Number.parseInt(bits, 16);
    if (prefix === 0 || prefix > 128 || base.startsWith("ff") || device === "lo") return [];
    return [{ device, net: network({ family: 6, value: BigInt(`0x${base}`) }, prefix) }];
  });
}

/** The text form of the file above: numbers are hexadecimal in the byte order of the host. Lines that make no sense are left out. */
export function parseRoutes(text: string): HostRoute[] {
  return text
    .split("\n")
    .slice(1)
    .flatMap((line) => {
      const fields = line.split("\t");
      const [device = "", base, mask] = [fields[0]?.trim(), littleEndian(fields[1]), littleEndian(fields[7])];
      if (base === undefined || mask === undefined || mask === 0n) return [];
      const bits = mask.toString(2).replace(/0+$/, "").length;
      return [{ device, net: network({ family: 4, value: base }, bits) }];
    });
}

/** The host's route that shares addresses with `pool`, other than those over `ownLink`. */
export function clashingRoute(
  pool: string,
  ownLink: string,
  routes: readonly HostRoute[],
): HostRoute | undefined {
  const net = parseCidr(pool);
  if (net === undefined) return undefined;
  return routes.find((route) => route.device !== ownLink && overlap(net, route.net));
}

/** The nameservers and search domains of a resolv.conf(5). */
export function parseResolvConf(text: string): { servers: string[]; search: string[] } {
  const lines = text.split("\n").map((line) => line.trim().split(/\s+/));
  const servers = lines.flatMap(([key, value = ""]) => (key === "nameserver" ? (parseIp(value) ?? []) : []));
  const search = lines.findLast(([key]) => key === "search" || key === "domain") ?? [];
  // glibc's own bounds (resolv.conf(5)).
  return { servers: servers.slice(0, 3).map(formatIp), search: search.slice(1, 7) };
}

function littleEndian(hex: string | undefined): bigint | undefined {
  if (hex === undefined || !/^[0-9A-F]{8}$/.test(hex)) return undefined;
  const bytes = hex.match(/../g) ?? [];
  return BigInt(`0x${bytes.toReversed().join("")}`);
}
