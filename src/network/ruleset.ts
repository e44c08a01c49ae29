/**
 * The rules of the namespace: two nftables tables (nft(8)) whose chains never change. What is particular to a VM are elements of
 * sets and maps, so that a packet costs the same with two VMs and with two hundred. model/network-decision.ts asks the same
 * questions in the same order.
 *
 * A connection keeps the mark of the policy that let it through; a VM whose policy changed has another mark, and its
 * connections are judged anew with their next packet.
 */
import { familyRules } from "./family-rules.ts";
import type { HostAddresses } from "./host-addresses.ts";
import { BRIDGE, HOST_LINK, UPLINK } from "./names.ts";
import { NEIGHBOUR_CHAINS, NEIGHBOUR_JUMP } from "./neighbour-rules.ts";

/** Connections from the host to guests carry this mark; policies' marks are larger. */
const HOST_MARK = "0x1";

export interface RulesetFacts extends HostAddresses {
  /** The IPv6 pool; undefined: nothing of IPv6 passes. */
  readonly pool6: string | undefined;
}

/** A script that replaces both tables, whatever was there, in one transaction. */
export function createRuleset({ host4, host6, pool6 }: RulesetFacts): string {
  return `table inet banger
delete table inet banger
table bridge banger
delete table bridge banger
table bridge banger {
  set ports { type ifname . ether_addr . ipv4_addr; }
${pool6 === undefined ? "" : NEIGHBOUR_CHAINS}\
  chain prerouting {
    type filter hook prerouting priority -300; policy drop;
    ether type ip iifname . ether saddr . ip saddr @ports accept
    ether type arp arp htype 1 arp ptype ip iifname . ether saddr . arp saddr ip @ports jump arp_sender
${pool6 === undefined ? "" : NEIGHBOUR_JUMP}\
  }
  chain arp_sender {
    iifname . arp saddr ether . arp saddr ip @ports accept
  }
  chain forward { type filter hook forward priority 0; policy drop; }
}
table inet banger {
  counter refused { }
${familyRules(4, { hostAddresses: host4 })}\
${pool6 === undefined ? "" : familyRules(6, { hostAddresses: host6, plan: pool6 })}\
  chain input {
    type filter hook input priority 0; policy drop;
    iif lo accept
    ct state established,related accept
    iifname ${BRIDGE} meta nfproto ipv4 meta l4proto { tcp, udp } th dport 53 accept
    iifname { ${BRIDGE}, ${HOST_LINK} } icmp type echo-request accept
${pool6 === undefined ? "" : INPUT6}\
  }
  chain forward {
    type filter hook forward priority 0; policy drop;
${pool6 === undefined ? "    meta nfproto != ipv4 drop\n" : ""}\
    iifname ${HOST_LINK} oifname ${BRIDGE} ct mark set ${HOST_MARK} accept
    iifname ${BRIDGE} ct direction reply ct state established,related ct mark ${HOST_MARK} accept
    meta nfproto ipv4 goto guests
${pool6 === undefined ? "" : "    meta nfproto ipv6 goto guests6\n"}\
  }
  chain postrouting {
    type nat hook postrouting priority srcnat; policy accept;
    oifname ${UPLINK} masquerade
    iifname ${HOST_LINK} oifname ${BRIDGE} masquerade
  }
}
`;
}

/** Neighbour discovery is untracked, and what comes of it from guests has passed the bridge's own rules. */
const INPUT6 = `    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    iifname { ${BRIDGE}, ${HOST_LINK} } icmpv6 type echo-request accept
`;
