/**
 * The ranges that policies deny, by what they are. Sources: the IANA special-purpose address registries (RFC 6890), RFC 6598
 * (shared address space), RFC 4193 (unique local), RFC 3927 (link-local, where clouds keep their metadata).
 */
import { type Cidr, contains, type Ip, parseCidr } from "./ip.ts";

export interface Range {
  readonly net: Cidr;
  /** What it is, for a person. */
  readonly what: string;
}

/** No packet to one of these makes sense on a wire: denied in every mode. */
export const UNROUTABLE: readonly Range[] = ranges({
  "this network": ["0.0.0.0/8", "::/128"],
  loopback: ["127.0.0.0/8", "::1/128"],
  multicast: ["224.0.0.0/4", "ff00::/8"],
  reserved: ["240.0.0.0/4", "192.0.0.0/24", "198.18.0.0/15", "100::/64"],
  // Each carries an IPv4 address inside, which could be any.
  "IPv4 in IPv6": ["::ffff:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"],
});

/** Denied in `public` and `allow`, whatever a rule says. */
export const LINK_LOCAL: readonly Range[] = ranges({
  "link-local (and cloud metadata)": ["169.254.0.0/16", "fe80::/10"],
  // Clouds answer there over IPv6: Amazon's instance metadata, DNS and time, and Google's metadata server.
  "cloud metadata": ["fd00:ec2::/32", "fd20:ce::/64"],
});

/** Denied in `public`; in `allow` too unless a rule names a network inside one of them. */
export const PRIVATE: readonly Range[] = ranges({
  private: ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"],
  "shared (carrier-grade NAT)": ["100.64.0.0/10"],
  "unique local": ["fc00::/7", "fec0::/10"],
});

/** The range of the list that an address or a whole network lies in. */
export function rangeOf(list: readonly Range[], inner: Ip | Cidr): Range | undefined {
  return list.find(({ net }) => contains(net, inner));
}

function ranges(table: Readonly<Record<string, readonly string[]>>): Range[] {
  return Object.entries(table).flatMap(([what, texts]) =>
    texts.flatMap((text) => {
      const net = parseCidr(text);
      return net === undefined ? [] : [{ net, what }];
    }),
  );
}
