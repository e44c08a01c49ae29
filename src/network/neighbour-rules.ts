/**
 * What a guest may send over IPv6 at its tap: its own address behind its own MAC, and of neighbour discovery (RFC 4861) what speaks
 * of itself truly. No router or redirect message, no routing header (RFC 5095), and no listener report, which nobody reads here.
 */

/** Guests' addresses; who may speak of neighbours, the link-local address too; and what they may say of themselves. */
export const NEIGHBOUR_CHAINS = `  set ports6 { type ifname . ether_addr . ipv6_addr; }
  set neighbours { type ifname . ether_addr . ipv6_addr; }
  set neighbour_links { typeof iifname . @th,208,48; }
  set neighbour_targets { typeof iifname . @th,64,128; }
  chain ipv6 {
    icmpv6 type nd-neighbor-solicit goto solicit
    icmpv6 type nd-neighbor-advert goto advertise
    exthdr rt exists drop
    iifname . ether saddr . ip6 saddr @ports6 jump ipv6_own
    drop
  }
  chain ipv6_own {
    meta l4proto != ipv6-icmp accept
    icmpv6 type { destination-unreachable, packet-too-big, time-exceeded, parameter-problem, echo-request, echo-reply } accept
  }
  chain solicit {
    iifname . ether saddr . ip6 saddr @neighbours ip6 nexthdr ipv6-icmp ip6 length 32 @th,192,16 0x0101 iifname . @th,208,48 @neighbour_links accept
    drop
  }
  chain advertise {
    iifname . ether saddr . ip6 saddr != @neighbours drop
    ip6 nexthdr != ipv6-icmp drop
    iifname . @th,64,128 != @neighbour_targets drop
    ip6 length 24 accept
    ip6 length 32 @th,192,16 0x0201 iifname . @th,208,48 @neighbour_links accept
    drop
  }
`;

export const NEIGHBOUR_JUMP = "    ether type ip6 goto ipv6\n";
