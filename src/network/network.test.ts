/** What the network reads of the world outside: routes, resolv.conf, the kernel's log of packets. */
import { expect, test } from "bun:test";
import * as fc from "fast-check";
import { formatCidr } from "../model/ip.ts";
import { parsePackets } from "./blocked.ts";
import { BLOCKED_PER_MINUTE, BlockedEvents } from "./blocked-events.ts";
import { createAnswer, createRefusal, parseQuery, RCODES, readAnswer } from "./dns/message.ts";
import { clashingRoute, parseResolvConf, parseRoutes, parseRoutes6 } from "./host-facts.ts";
import { createPlan } from "./names.ts";

/** A file of a host with a default route, a network and an odd line. */
const ROUTES = `Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
lan0\t000010AC\t00000000\t0001\t0\t0\t0\t0000F0FF\t0\t0\t0
nonsense
`;

test("parseRoutes() reads /proc/net/route, and leaves the default route out", () => {
  const routes = parseRoutes(ROUTES);
  expect(routes.map(({ device, net }) => `${device} ${formatCidr(net)}`)).toEqual([
    "eth0 192.0.2.0/24",
    "lan0 172.16.0.0/12",
  ]);
  expect(clashingRoute("172.16.0.0/24", "bng0", routes)?.device).toBe("lan0");
  expect(clashingRoute("172.16.0.0/24", "lan0", routes)).toBeUndefined();
  expect(clashingRoute("10.0.0.0/24", "bng0", routes)).toBeUndefined();
});

/** As the kernel writes it: a network, a default route, an address of its own, multicast, the loopback's, and an odd line. */
const ROUTES6 = [
  "fd300005000000000000000000000000 40 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000001 00000000 00000001     eth0",
  "00000000000000000000000000000000 00 00000000000000000000000000000000 00 fe800000000000000000000000000001 00000400 00000003 00000000 00000003     eth0",
  "fd990000000000000000000000000002 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000003 00000000 80200001     lan0",
  "ff000000000000000000000000000000 08 00000000000000000000000000000000 00 00000000000000000000000000000000 00000100 00000003 00000000 00000001     eth0",
  "00000000000000000000000000000001 80 00000000000000000000000000000000 00 00000000000000000000000000000000 00000000 00000004 00000000 80200001       lo",
  "nonsense",
].join("\n");

test("parseRoutes6() reads /proc/net/ipv6_route, and leaves out what no pool could clash with", () => {
  const routes = parseRoutes6(ROUTES6);
  expect(routes.map(({ device, net }) => `${device} ${formatCidr(net)}`)).toEqual([
    "eth0 fd30:5::/64",
    "lan0 fd99::2",
  ]);
  expect(clashingRoute("fd30::/16", "bng0", routes)?.device).toBe("eth0");
  expect(clashingRoute("fd30:6::/64", "bng0", routes)).toBeUndefined();
});

test("parsePackets() reads an IPv6 packet", () => {
  const header = Buffer.alloc(44);
  header.set([0x60, 0, 0, 0, 0, 4, 6, 63]);
  header.set([0xfd, 0x30, 0, 5], 8);
  header[23] = 2;
  header.set([0x20, 1, 0x0d, 0xb8], 24);
  header.writeUInt16BE(443, 42);
  const attribute = Buffer.concat([Buffer.from([48, 0, 9, 0]), header]);
  const message = Buffer.concat([Buffer.alloc(20), attribute]);
  message.writeUInt32LE(message.length, 0);
  message.writeUInt16LE(0x400, 4);
  expect(parsePackets(message)).toEqual([
    { source: "fd30:5::2", target: "2001:db8::", protocol: "tcp", port: 443 },
  ]);
  expect(parsePackets(message.subarray(0, 60))).toEqual([]);
});

test("parseResolvConf() takes at most three nameservers and six domains, and no nonsense", () => {
  const text =
    "# x\nnameserver 192.0.2.1\nnameserver fe80::1%eth0\nnameserver  2001:db8::1\nsearch a.test b.test\noptions x\ndomain c.test\n";
  expect(parseResolvConf(text)).toEqual({ servers: ["192.0.2.1", "2001:db8::1"], search: ["c.test"] });
  expect(parseResolvConf("nameserver 1.1.1.1\n".repeat(9)).servers).toHaveLength(3);
});

test("parsePackets() takes any bytes, and reads what the kernel sends", () => {
  const seen =
    "6000000000040000000000000000000002000062080001000800030005000a0000000000080005000000000208000b000000000008000e0000000000220009004500001ea11740004011749c0a09090109090909eb740035000a2537780a0000";
  expect(parsePackets(Buffer.from(seen, "hex"))).toEqual([
    { source: "10.9.9.1", target: "9.9.9.9", protocol: "udp", port: 53 },
  ]);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(95), (noise, cut) => {
      parsePackets(noise);
      parsePackets(Buffer.concat([Buffer.from(seen, "hex").subarray(0, cut), noise]));
    }),
  );
});

test("a guest's refusals are told up to a bound a minute, and the rest is counted", () => {
  const told: string[] = [];
  let now = 0;
  const events = new BlockedEvents({
    now: () => now,
    tell: (guest, message) => void told.push(`${guest} ${message}`),
  });
  for (let at = 0; at < BLOCKED_PER_MINUTE + 5; at += 1) events.add("one", "m");
  events.add("two", "m");
  expect(told).toEqual([...Array<string>(BLOCKED_PER_MINUTE).fill("one m"), "two m"]);
  now += 60_000;
  events.add("one", "m");
  expect(told.at(-1)).toBe("one m (and 5 more before it)");
});

test("no bytes make the DNS parser throw, and a refusal answers the question's id", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), (bytes) => {
      const query = parseQuery(bytes);
      if (typeof query === "number") expect(createRefusal(bytes, query)[3]).toBe(0x80 | query);
      else if (query !== undefined) {
        expect(createAnswer(query, RCODES.refused).subarray(0, 2)).toEqual(Buffer.from(bytes.subarray(0, 2)));
        readAnswer(bytes, query);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("two homes have two namespaces, links and link addresses, within the lengths that the kernel takes", () => {
  const plans = ["/a", "/b"].map((stateDir) => createPlan({ uid: 0, stateDir, pool: "172.16.0.0/24" }));
  expect(new Set(plans.map(({ name }) => name)).size).toBe(2);
  expect(new Set(plans.map(({ hostLink }) => hostLink)).size).toBe(2);
  expect(plans.every(({ hostLink }) => hostLink.length <= 15)).toBe(true);
  expect(plans.every(({ hostSide }) => /^169\.254\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./.test(hostSide))).toBe(
    true,
  );
});
