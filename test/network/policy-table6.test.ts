/** The same table over IPv6, where the pool6 of the configuration gives guests such addresses; the IPv4 half of each policy beside it. */
import { test as anyTest, expect } from "bun:test";
import {
  EMBEDDED6,
  guest6,
  HOST6,
  METADATA6,
  OTHER_SITE6,
  POOL6,
  PRIVATE_HOST,
  PRIVATE_HOST6,
  SITE,
  SITE_LOCAL_HOST6,
  SITE6,
} from "./addresses.ts";
import { disagreements, EVERYTHING, type PolicyRow, walkCells } from "./policy-cells.ts";
import { createWorld, NO_WORLD } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

const TARGETS = {
  site: SITE6,
  other: OTHER_SITE6,
  private: PRIVATE_HOST6,
  "site-local": SITE_LOCAL_HOST6,
  metadata: METADATA6,
  embedded: EMBEDDED6,
  host: HOST6,
  "site over IPv4": SITE,
  "private over IPv4": PRIVATE_HOST,
  "another guest": guest6(3),
  nobody: guest6(99),
} as const;
type TargetName = keyof typeof TARGETS;

const INTERNET = { site: EVERYTHING, other: EVERYTHING };
const POLICIES: Readonly<Record<string, PolicyRow<TargetName>>> = {
  none: { network: { mode: "none" }, open: {} },
  public: { network: { mode: "public" }, open: { ...INTERNET, "site over IPv4": EVERYTHING } },
  full: {
    network: { mode: "full" },
    open: {
      ...INTERNET,
      private: EVERYTHING,
      "site-local": EVERYTHING,
      metadata: EVERYTHING,
      host: EVERYTHING,
      "site over IPv4": EVERYTHING,
      "private over IPv4": EVERYTHING,
    },
  },
  "public but one": {
    network: { mode: "public", deny: [OTHER_SITE6] },
    open: { site: EVERYTHING, "site over IPv4": EVERYTHING },
  },
  "public but a port of each family": {
    network: { mode: "public", deny: ["[::/0]:80", "0.0.0.0/0:81"] },
    open: {
      site: ["81/tcp", "icmp"],
      other: ["81/tcp", "icmp"],
      "site over IPv4": ["80/tcp", "80/udp", "icmp"],
    },
  },
  "one address": { network: { mode: "allow", allow: [SITE6] }, open: { site: EVERYTHING } },
  "one port": {
    network: { mode: "allow", allow: [`[${SITE6}]:80`] },
    open: { site: ["80/tcp", "80/udp"] },
  },
  "one port, one protocol": {
    network: { mode: "allow", allow: [`[${SITE6}]:80/tcp`] },
    open: { site: ["80/tcp"] },
  },
  "one protocol": {
    network: { mode: "allow", allow: ["2001:db8:2::/64/icmp"] },
    open: { site: ["icmp"], other: ["icmp"] },
  },
  "the internet's port": {
    network: { mode: "allow", allow: ["[::/0]:81"] },
    open: { site: ["81/tcp"], other: ["81/tcp"] },
  },
  "a private network by its own name": {
    network: { mode: "allow", allow: ["[fd99::/16]:80", "[fd99:1::/64]:81"] },
    open: { private: ["80/tcp", "81/tcp", "80/udp"] },
  },
  "everything private, and never the pool or metadata": {
    network: { mode: "allow", allow: ["fc00::/7"] },
    open: { private: EVERYTHING },
  },
  "a private network and the internet": {
    network: { mode: "allow", allow: ["[::/0]:80", "[fd99:1::/64]:80"] },
    open: { site: ["80/tcp", "80/udp"], other: ["80/tcp", "80/udp"], private: ["80/tcp", "80/udp"] },
  },
  "networks inside each other": {
    network: {
      mode: "allow",
      allow: ["[2001:db8:2::/64]:80/tcp", `[${SITE6}]:80`, "[fd00::/8]:80/tcp", "[fd99::/16]:80"],
      deny: ["[fd00::/8]:81/udp", "[fd99::/16]:81"],
    },
    open: { site: ["80/tcp", "80/udp"], other: ["80/tcp"], private: ["80/tcp", "80/udp"] },
  },
  "allowed and denied": {
    network: { mode: "allow", allow: ["2001:db8:2::/64"], deny: [`[${SITE6}]:80`] },
    open: { site: ["81/tcp", "icmp"], other: EVERYTHING },
  },
};

test("each cell of policy × target × protocol is what a packet experiences, over IPv6 as over IPv4", async () => {
  await using world = await createWorld({ pool6: POOL6 });
  const guest = await world.guest("172.30.5.2", { mode: "none" });
  await world.guest("172.30.5.3", { mode: "full", peers: true });
  const cells = await walkCells(world, guest, { targets: TARGETS, policies: POLICIES });
  expect(disagreements(cells)).toEqual([]);
  expect(cells).toHaveLength(Object.keys(POLICIES).length * Object.keys(TARGETS).length * EVERYTHING.length);
  console.log(`policy table over IPv6: ${cells.length} packets`);
  expect(world.problems).toEqual([]);
});
