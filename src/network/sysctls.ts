/** The settings of the namespace's kernel side. */
import { existsSync, writeFileSync } from "node:fs";
import { setSysctls6 } from "./namespace6.ts";

/** Has the thread's namespace route for guests. Kernel's Documentation/networking/ip-sysctl.rst. /proc/sys/net shows the namespace of the thread that opens it. */
export function setSysctls(isIpv6: boolean): void {
  const set = (name: string, value: number): void => writeFileSync(`/proc/sys/net/${name}`, String(value));
  setSysctls6(isIpv6);
  set("ipv4/ip_forward", 1);
  // A refusal that is not told costs the guest a timeout; guests are behind one bridge and flood nobody else with it.
  set("ipv4/icmp_ratelimit", 0);
  // Guests of one bridge reach each other over the gateway alone, which must not tell them a shorter way.
  set("ipv4/conf/all/send_redirects", 0);
  set("ipv4/conf/default/send_redirects", 0);
  // Where br_netfilter is loaded, bridged packets would meet the rules for routed ones.
  if (existsSync("/proc/sys/net/bridge/bridge-nf-call-iptables")) set("bridge/bridge-nf-call-iptables", 0);
}
