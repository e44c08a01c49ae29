/** The host's own addresses as the rules have them. */
import { type Family, formatIp } from "../model/ip.ts";
import { hostAddresses } from "./host-facts.ts";

export interface HostAddresses {
  readonly host4: readonly string[];
  readonly host6: readonly string[];
}

export function currentHost(): HostAddresses {
  const all = hostAddresses();
  // An IPv6 address may be there on several links.
  const of = (wanted: Family): string[] => [
    ...new Set(all.filter(({ family }) => family === wanted).map(formatIp)),
  ];
  return { host4: of(4), host6: of(6) };
}

/** The same text for the same addresses. */
export function hostText({ host4, host6 }: HostAddresses): string {
  return [...host4, ...host6].join(" ");
}

/** Replaces what the rules know of the host. */
export function hostScript({ host4, host6 }: HostAddresses, isIpv6: boolean): string {
  return refill("host", host4) + (isIpv6 ? refill("host6", host6) : "");
}

function refill(set: string, addresses: readonly string[]): string {
  const all = addresses.length === 0 ? "" : `add element inet banger ${set} { ${addresses.join(", ")} }\n`;
  return `flush set inet banger ${set}\n${all}`;
}
