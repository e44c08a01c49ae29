/** Whom the host asks for names. */
import { readFileSync } from "node:fs";
import type { Nameserver } from "./dns/upstream.ts";
import { parseResolvConf } from "./host-facts.ts";

export interface HostResolver {
  readonly servers: readonly Nameserver[];
  readonly search: readonly string[];
}

/** The file of resolv.conf(5). */
const RESOLV_CONF = "/etc/resolv.conf";
const DNS_PORT = 53;

export function readHostResolver(): HostResolver {
  try {
    const { servers, search } = parseResolvConf(readFileSync(RESOLV_CONF, "utf8"));
    return { servers: servers.map((address) => ({ address, port: DNS_PORT })), search };
  } catch {
    // Without the file a host has no nameservers (resolv.conf(5) then means its own, which is none of ours).
    return { servers: [], search: [] };
  }
}
