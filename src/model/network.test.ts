/** The rules of the network as pure functions: addresses, rules, policies, decisions. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { gatewayOf, macFromAddress, prefixOf, validatePool } from "./addresses.ts";
import { address6Of, gateway6Of, linkLocalOf, validatePool6 } from "./addresses6.ts";
import { BangerError } from "./errors.ts";
import { contains, formatCidr, formatIp, overlap, parseCidr, parseIp } from "./ip.ts";
import { decideTarget, type NetworkFacts } from "./network-decision.ts";
import {
  applyNetworkWish,
  MAX_NETWORK_RULES,
  PUBLIC_NETWORK,
  parseNetworkMode,
  parseNetworkPolicy,
} from "./network-policy.ts";
import { coversName, coversPort, parseNetworkRule } from "./network-rule.ts";

const ipv4 = fc.ipV4();
const ipv6 = fc.ipV6();

test("parseIp() takes every address, and formatIp() writes one that is the same", () => {
  fc.assert(
    fc.property(fc.oneof(ipv4, ipv6), (text) => {
      const ip = parseIp(text);
      expect(ip).toBeDefined();
      if (ip !== undefined) expect(parseIp(formatIp(ip))).toEqual(ip);
    }),
  );
});

test.each([
  ["::", "::"],
  ["::1", "::1"],
  ["2001:DB8:0:0:1:0:0:1", "2001:db8::1:0:0:1"],
  ["1::", "1::"],
  ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
  ["::ffff:10.1.2.3", "::ffff:a01:203"],
  ["fe80::1:2", "fe80::1:2"],
])("formatIp() writes %s as RFC 5952 has it: %s", (text, wanted) => {
  const ip = parseIp(text);
  expect(ip === undefined ? undefined : formatIp(ip)).toBe(wanted);
});

test.each([
  "",
  "1",
  "1.2.3",
  "1.2.3.256",
  "01.2.3.4",
  "1.2.3.4.5",
  ":::",
  "1:2:3",
  "1::2::3",
  "g::",
  "1:2:3:4:5:6:7:8:9",
  "fe80::1%eth0",
  "1.2.3.4\n",
])("parseIp() refuses %j", (text) => {
  expect(parseIp(text)).toBeUndefined();
});

test("networks contain what lies in them and nothing of the other family", () => {
  const [ten, two, inner, six] = ["10.0.0.0/8", "11.0.0.0/8", "10.9.8.7/24", "::/0"].map(parseCidr);
  if (ten === undefined || two === undefined || inner === undefined || six === undefined)
    throw new Error("unparsed");
  expect(formatCidr(inner)).toBe("10.9.8.0/24");
  expect([contains(ten, inner), contains(inner, ten), contains(two, inner), contains(six, inner)]).toEqual([
    true,
    false,
    false,
    false,
  ]);
  expect([overlap(inner, ten), overlap(ten, two)]).toEqual([true, false]);
  expect(["10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "::/129", "x/8"].map(parseCidr)).toEqual(
    Array(5).fill(undefined),
  );
});

test.each([
  ["github.com", "github.com"],
  ["GitHub.COM.:443", "github.com:443"],
  ["*.debian.org:80/TCP", "*.debian.org:80/tcp"],
  ["1.2.3.4", "1.2.3.4"],
  ["1.2.3.4/24:53/udp", "1.2.3.0/24:53/udp"],
  ["0.0.0.0/0/icmp", "0.0.0.0/0/icmp"],
  ["2001:db8:1::/48", "[2001:db8:1::/48]"],
  ["[2001:db8:1::5]:443/tcp", "[2001:db8:1::5]:443/tcp"],
  ["xn--bcher-kva.example", "xn--bcher-kva.example"],
])("parseNetworkRule() writes %s as %s, and takes that again", (text, wanted) => {
  expect(parseNetworkRule(text, "allow").text).toBe(wanted);
  expect(parseNetworkRule(wanted, "allow").text).toBe(wanted);
});

test.each([
  "",
  ":80",
  "a b",
  "*",
  "*.",
  "a..b",
  "-a.b",
  "a:0",
  "a:65536",
  "a:x",
  "a/sctp",
  "1.2.3.4.5",
  "a:80/icmp",
  "10.0.0.0/33",
  "[::1",
  "a".repeat(64),
  "x\0y",
  `${"a.".repeat(127)}aa`,
])("parseNetworkRule() refuses %j with a cure", (text) => {
  for (const use of ["allow", "deny"] as const) {
    const error = refusal(() => parseNetworkRule(text, use));
    expect(error).toMatchObject({ code: "invalid_argument" });
    expect(error.cure).toBeDefined();
  }
});

test.each([
  "localhost",
  "web.vm",
  "printer.local",
  "a.internal",
  "127.0.0.1",
  "127.0.0.0/8:80",
  "169.254.169.254",
  "[fe80::1]",
  "[::1]",
  "224.0.0.1",
])("%s is never allowed, and may be denied", (text) => {
  expect(refusal(() => parseNetworkRule(text, "allow"))).toMatchObject({ code: "invalid_argument" });
  expect(parseNetworkRule(text, "deny").text.length).toBeGreaterThan(0);
});

test("rules cover names below a wildcard, and ports by protocol", () => {
  const wild = parseNetworkRule("*.a.test", "allow");
  expect(["x.a.test", "y.x.a.test", "a.test", "xa.test"].map((name) => coversName(wild, name))).toEqual([
    true,
    true,
    false,
    false,
  ]);
  const port = parseNetworkRule("a.test:80", "allow");
  expect([
    coversPort(port, "tcp", 80),
    coversPort(port, "udp", 80),
    coversPort(port, "tcp", 81),
    coversPort(port, "icmp", undefined),
  ]).toEqual([true, true, false, false]);
});

test("applyNetworkWish() keeps what nobody speaks of, and leaves no rule that another holds", () => {
  const allowed = applyNetworkWish(PUBLIC_NETWORK, {
    allow: ["10.1.2.3:80", "10.0.0.0/8:80", "a.test", "A.test"],
  });
  expect(allowed).toEqual({ mode: "allow", allow: ["10.0.0.0/8:80", "a.test"], deny: [], peers: false });
  // The internet holds no private network: that is opened by its own name.
  const both = ["0.0.0.0/0:443", "10.1.0.0/16:443"];
  expect(applyNetworkWish(PUBLIC_NETWORK, { allow: both }).allow).toEqual(both);
  expect(applyNetworkWish(PUBLIC_NETWORK, { deny: both }).deny).toEqual(["0.0.0.0/0:443"]);
  expect(applyNetworkWish(allowed, { peers: true, deny: ["b.test"] })).toEqual({
    ...allowed,
    deny: ["b.test"],
    peers: true,
  });
  expect(applyNetworkWish(allowed, { mode: "full" })).toEqual({ ...allowed, mode: "full", allow: [] });
  expect(applyNetworkWish(PUBLIC_NETWORK, {})).toEqual(PUBLIC_NETWORK);
});

test("applyNetworkWish() refuses what says nothing or too much", () => {
  const many = Array.from({ length: MAX_NETWORK_RULES + 1 }, (_, at) => `n${at}.test`);
  for (const wish of [
    { mode: "allow" },
    { mode: "public", allow: ["a.test"] },
    { allow: [] },
    { allow: many },
  ] as const) {
    const error = refusal(() => applyNetworkWish(PUBLIC_NETWORK, wish));
    expect(error.code).toBe("invalid_argument");
    expect(error.cure).toBeDefined();
  }
  expect(refusal(() => parseNetworkMode("open")).cure).toContain("none, public, allow, full");
});

test.each([
  ["127.0.0.0/8", "loopback", "10.64.0.0/16"],
  ["169.254.64.0/24", "link-local", "10.64.0.0/16"],
  ["224.0.0.0/24", "multicast", "10.64.0.0/16"],
  ["192.0.0.0/16", "reserved", "10.64.0.0/16"],
  ["172.16.0.9/24", "is a part of a network", "172.16.0.0/24"],
])("the pool %s is refused: %s", (pool, why, cure) => {
  let error: BangerError | undefined;
  try {
    validatePool(pool);
  } catch (thrown) {
    error = BangerError.from(thrown);
  }
  expect(error?.code).toBe("invalid_argument");
  expect(error?.message).toContain(why);
  expect(error?.cure).toContain(cure);
});

test("a MAC is made of the address, and the pool's first address is the gateway", () => {
  expect(macFromAddress("172.16.0.2")).toBe("02:62:ac:10:00:02");
  expect([gatewayOf("10.1.2.200/25"), prefixOf("10.1.2.200/25")]).toEqual(["10.1.2.129", 25]);
});

test.each([
  ["10.0.0.0/8", "is not an IPv6 network"],
  ["fd5b::/97", "is not an IPv6 network from /16 to /96"],
  ["2001:db8::/64", "is not unique local"],
  ["fd5b::1/64", "is a part of a network"],
  ["fd00:ec2::/64", "has cloud metadata addresses"],
  ["fd62:616e::/32", "has the addresses of banger's own uplink"],
])("the IPv6 pool %s is refused: %s", (pool, why) => {
  const error = refusal(() => validatePool6(pool));
  expect(error.code).toBe("invalid_argument");
  expect(error.message).toContain(why);
  expect(error.cure).toBeDefined();
});

test("an IPv6 address is the IPv4 address inside the pool, whatever both are, and a card's own is made of its MAC", () => {
  const pool = "fd5b:a9e1:30c7::/64";
  expect(address6Of(pool, "172.16.0.2")).toBe("fd5b:a9e1:30c7::ac10:2");
  expect(address6Of(pool, "0.0.0.0")).toBeUndefined();
  expect(gateway6Of(pool)).toBe("fd5b:a9e1:30c7::1");
  expect(linkLocalOf(macFromAddress("172.16.0.2"))).toBe("fe80::62:acff:fe10:2");
  fc.assert(
    fc.property(ipv4, ipv4, (one, other) => {
      if (one !== other && one !== "0.0.0.0") expect(address6Of(pool, one)).not.toBe(address6Of(pool, other));
    }),
  );
});

test("no target at all is allowed under none, and nothing special-purpose under public", () => {
  const pool = parseCidr("172.30.5.0/24");
  const gateway = parseIp("172.30.5.1");
  if (pool === undefined || gateway === undefined) throw new Error("unparsed");
  const [pool6, gateway6] = [parseCidr("fd30:5::/64"), parseIp("fd30:5::1")];
  if (pool6 === undefined || gateway6 === undefined) throw new Error("unparsed");
  const ipv6Place = { pool: pool6, gateway: gateway6 };
  const facts: NetworkFacts = { hostAddresses: [], pool, gateway, ipv6: ipv6Place, peerAt: () => undefined };
  const target = (text: string, mode: "none" | "public") => {
    const address = parseIp(text);
    if (address === undefined) throw new Error(text);
    const policy = parseNetworkPolicy({ ...PUBLIC_NETWORK, mode });
    return decideTarget(policy, { address, protocol: "tcp", port: 443 }, facts).verdict;
  };
  fc.assert(fc.property(fc.oneof(ipv4, ipv6), (text) => expect(target(text, "none")).toBe("deny")));
  const near = [
    "0.1.2.3",
    "10.9.9.9",
    "100.64.0.1",
    "127.0.0.1",
    "169.254.169.254",
    "172.16.3.4",
    "172.31.255.255",
    "192.168.1.1",
    "224.0.0.251",
    "255.255.255.255",
    "::1",
    "fe80::1",
    "fd00::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fec0::1",
    "fd30:5::ac1e:502",
    "2002:a00:1::1",
    "ff02::1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
  ];
  expect(near.filter((text) => target(text, "public") === "allow")).toEqual([]);
  expect(
    ["9.9.9.9", "172.15.255.255", "172.32.0.1", "100.128.0.1", "2620:fe::fe", "2001:db8::1"].filter(
      (text) => target(text, "public") === "deny",
    ),
  ).toEqual([]);
});

function refusal(work: () => unknown): BangerError {
  try {
    work();
  } catch (error) {
    return BangerError.from(error);
  }
  throw new Error("not refused");
}
