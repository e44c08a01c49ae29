/** One `--allow` or `--deny`: a host, a wildcard or a network, with or without a port and a protocol. */
import { LINK_LOCAL, PRIVATE, rangeOf, UNROUTABLE } from "./address-ranges.ts";
import { BangerError } from "./errors.ts";
import { type Cidr, contains, formatCidr, parseCidr } from "./ip.ts";
import { quote } from "./names.ts";

export const PROTOCOLS = ["tcp", "udp", "icmp"] as const;
export type Protocol = (typeof PROTOCOLS)[number];

export type RuleHost =
  | { readonly kind: "name"; readonly name: string }
  /** `*.name`: every name below it, not the name itself. */
  | { readonly kind: "below"; readonly name: string }
  | { readonly kind: "net"; readonly net: Cidr };

export interface NetworkRule {
  readonly host: RuleHost;
  /** Undefined: every port, and with no protocol either, ICMP too. */
  readonly port: number | undefined;
  /** Undefined: TCP and UDP, and ICMP when there is no port. */
  readonly protocol: Protocol | undefined;
  /** As it is written down. */
  readonly text: string;
}

/** What a rule is for: what may be allowed is narrower than what may be denied. `check`: it is only asked about. */
export type RuleUse = "allow" | "deny" | "check";

/**
 * Parses `HOST[:PORT][/PROTOCOL]`; HOST is a domain, `*.domain`, an address or a network (`10.0.0.0/8`, `[2001:db8::/32]`).
 * Errors: `invalid_argument`, with the cure.
 */
export function parseNetworkRule(text: string, use: RuleUse): NetworkRule {
  const { host: hostText, port, protocol } = split(text, use);
  if (protocol === "icmp" && port !== undefined) throw bad(text, use, "ICMP has no ports");
  const host = parseHost(hostText, text, use);
  if (use === "allow") refuseNear(host, text);
  const tail = `${port === undefined ? "" : `:${port}`}${protocol === undefined ? "" : `/${protocol}`}`;
  return { host, port, protocol, text: `${formatHost(host)}${tail}` };
}

/** Whether a rule speaks of this protocol and port. */
export function coversPort(rule: NetworkRule, protocol: Protocol, port: number | undefined): boolean {
  if (rule.protocol !== undefined && rule.protocol !== protocol) return false;
  return rule.port === undefined || (protocol !== "icmp" && rule.port === port);
}

/** Whether a rule speaks of this name (lower case, no dot at its end). */
export function coversName({ host }: NetworkRule, name: string): boolean {
  switch (host.kind) {
    case "name":
      return host.name === name;
    case "below":
      return name.endsWith(`.${host.name}`);
    case "net":
      return false;
  }
}

/** Whether everything that `inner` speaks of, `outer` speaks of too. Networks only. */
export function subsumes(outer: NetworkRule, inner: NetworkRule): boolean {
  if (outer.host.kind !== "net" || inner.host.kind !== "net") return false;
  const protocol = outer.protocol === undefined || outer.protocol === inner.protocol;
  const port = outer.port === undefined || outer.port === inner.port;
  return protocol && port && contains(outer.host.net, inner.host.net);
}

/** The rules that no other one holds, of equals the first. */
export function outermost(
  rules: readonly NetworkRule[],
  holds: (outer: NetworkRule, inner: NetworkRule) => boolean = subsumes,
): NetworkRule[] {
  return rules.filter(
    (rule, at) =>
      !rules.some(
        (other, otherAt) => otherAt !== at && holds(other, rule) && !(holds(rule, other) && otherAt > at),
      ),
  );
}

/** Whether a rule names a network inside a private range, which nothing else opens. */
export function isPrivate({ host }: NetworkRule): boolean {
  return host.kind === "net" && rangeOf(PRIVATE, host.net) !== undefined;
}

function split(text: string, use: RuleUse): { host: string; port?: number; protocol?: Protocol } {
  const suffix = /\/([a-zA-Z]+)$/.exec(text);
  const protocol = suffix === null ? undefined : parseProtocol(suffix[1] ?? "", text, use);
  const rest = suffix === null ? text : text.slice(0, suffix.index);
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(rest);
  const plain = parseCidr(rest) === undefined ? /^([^:]*):(.*)$/.exec(rest) : null;
  const [, host = rest, digits] = bracketed ?? plain ?? [];
  return {
    host,
    ...(digits === undefined ? {} : { port: parsePort(digits, text, use) }),
    ...(protocol === undefined ? {} : { protocol }),
  };
}

function parseProtocol(word: string, text: string, use: RuleUse): Protocol {
  const found = PROTOCOLS.find((protocol) => protocol === word.toLowerCase());
  if (found === undefined) throw bad(text, use, `${quote(word)} is not one of ${PROTOCOLS.join(", ")}`);
  return found;
}

function parsePort(digits: string, text: string, use: RuleUse): number {
  const port = /^\d{1,5}$/.test(digits) ? Number(digits) : 0;
  if (port < 1 || port > 65_535) throw bad(text, use, `the port ${quote(digits)} is not from 1 to 65535`);
  return port;
}

function parseHost(host: string, text: string, use: RuleUse): RuleHost {
  const net = parseCidr(host);
  if (net !== undefined) return { kind: "net", net };
  const wildcard = host.startsWith("*.");
  const name = (wildcard ? host.slice(2) : host).toLowerCase().replace(/\.$/, "");
  if (!isDomain(name)) throw bad(text, use, `${quote(host)} is neither a domain nor a network`);
  return { kind: wildcard ? "below" : "name", name };
}

/** RFC 1035, section 2.3.4 (lengths), with the underscore that service names use; an all-digit end would be an address. */
export function isDomain(name: string): boolean {
  const labels = name.split(".");
  const label = /^[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;
  return name.length <= 253 && labels.every((one) => label.test(one)) && !/^\d+$/.test(labels.at(-1) ?? "");
}

/** Names that mean a private place by their very form (RFC 6761, RFC 6762, RFC 8375); answers for them are refused anyway. */
const NEAR = ["localhost", "local", "internal", "lan", "home.arpa", "vm"];

function refuseNear(host: RuleHost, text: string): void {
  if (host.kind === "net") {
    const range = rangeOf([...UNROUTABLE, ...LINK_LOCAL], host.net);
    if (range !== undefined) throw bad(text, "allow", `${range.what} addresses are never allowed`);
    return;
  }
  if (NEAR.some((near) => host.name === near || host.name.endsWith(`.${near}`))) {
    throw new BangerError(
      "invalid_argument",
      `${quote(text)} names a private place, and a name alone never opens a private range`,
      { cure: "allow its network, such as: --allow 10.1.2.0/24:443", details: { field: "allow" } },
    );
  }
}

function formatHost(host: RuleHost): string {
  switch (host.kind) {
    case "name":
      return host.name;
    case "below":
      return `*.${host.name}`;
    case "net":
      return host.net.family === 6 ? `[${formatCidr(host.net)}]` : formatCidr(host.net);
  }
}

function bad(text: string, use: RuleUse, why: string): BangerError {
  const isTarget = use === "check";
  const what = isTarget ? `the target ${quote(text)}` : `--${use} ${quote(text)}`;
  return new BangerError("invalid_argument", `${what} is not valid: ${why}`, {
    cure: isTarget
      ? "write HOST:PORT[/PROTOCOL], such as github.com:443 or 10.0.0.1:53/udp"
      : "write HOST[:PORT][/PROTOCOL], such as github.com:443, *.debian.org or 10.0.0.0/8:5432/tcp",
    details: { field: isTarget ? "target" : use },
  });
}
