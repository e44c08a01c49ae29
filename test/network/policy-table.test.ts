/** Every policy × every target × every protocol, each cell a packet: what arrives is what `network check` says, and what is written here. */
import { test as anyTest, expect } from "bun:test";
import { HOST, LAN_HOST, METADATA, OTHER_SITE, PRIVATE_HOST, SHARED_HOST, SITE } from "./addresses.ts";
import { disagreements, EVERYTHING, type PolicyRow, walkCells } from "./policy-cells.ts";
import { createWorld, NO_WORLD, OWNERS } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);

const TARGETS = {
  site: SITE,
  other: OTHER_SITE,
  private: PRIVATE_HOST,
  lan: LAN_HOST,
  shared: SHARED_HOST,
  metadata: METADATA,
  host: HOST,
} as const;
type TargetName = keyof typeof TARGETS;

/** What a policy lets through; everything else is to be refused. */
const POLICIES: Readonly<Record<string, PolicyRow<TargetName>>> = {
  none: { network: { mode: "none" }, open: {} },
  public: { network: { mode: "public" }, open: { site: EVERYTHING, other: EVERYTHING } },
  full: {
    network: { mode: "full" },
    open: Object.fromEntries(Object.keys(TARGETS).map((target) => [target, EVERYTHING])),
  },
  "public but one": { network: { mode: "public", deny: [OTHER_SITE] }, open: { site: EVERYTHING } },
  "public but a port": {
    network: { mode: "public", deny: ["0.0.0.0/0:80"] },
    open: { site: ["81/tcp", "icmp"], other: ["81/tcp", "icmp"] },
  },
  "one address": { network: { mode: "allow", allow: [SITE] }, open: { site: EVERYTHING } },
  "one port": { network: { mode: "allow", allow: [`${SITE}:80`] }, open: { site: ["80/tcp", "80/udp"] } },
  "one port, one protocol": {
    network: { mode: "allow", allow: [`${SITE}:80/tcp`] },
    open: { site: ["80/tcp"] },
  },
  "one protocol": {
    network: { mode: "allow", allow: ["203.0.113.0/24/icmp"] },
    open: { site: ["icmp"], other: ["icmp"] },
  },
  "the internet's port": {
    network: { mode: "allow", allow: ["0.0.0.0/0:81"] },
    open: { site: ["81/tcp"], other: ["81/tcp"] },
  },
  "a private network by its own name": {
    network: { mode: "allow", allow: ["10.1.0.0/16:80", "10.1.2.0/24:81"] },
    open: { private: ["80/tcp", "81/tcp", "80/udp"] },
  },
  "a private network and the internet": {
    network: { mode: "allow", allow: ["0.0.0.0/0:80", "10.1.0.0/16:80"] },
    open: { site: ["80/tcp", "80/udp"], other: ["80/tcp", "80/udp"], private: ["80/tcp", "80/udp"] },
  },
  "networks inside each other": {
    network: {
      mode: "allow",
      allow: ["203.0.113.0/24:80/tcp", `${SITE}:80`, "10.0.0.0/8:80/tcp", "10.1.0.0/16:80"],
      deny: ["10.0.0.0/8:81/udp", "10.1.0.0/16:81"],
    },
    open: { site: ["80/tcp", "80/udp"], other: ["80/tcp"], private: ["80/tcp", "80/udp"] },
  },
  "allowed and denied": {
    network: { mode: "allow", allow: ["203.0.113.0/24"], deny: [`${SITE}:80`] },
    open: { site: ["81/tcp", "icmp"], other: EVERYTHING },
  },
};

test.each(OWNERS)("each cell of policy × target × protocol is what packets of %s meet", async (owner) => {
  await using world = await createWorld({}, { owner });
  const guest = await world.guest("172.30.5.2", { mode: "none" });
  const cells = await walkCells(world, guest, { targets: TARGETS, policies: POLICIES });
  expect(disagreements(cells)).toEqual([]);
  expect(cells).toHaveLength(Object.keys(POLICIES).length * Object.keys(TARGETS).length * EVERYTHING.length);
  console.log(`policy table: ${cells.length} packets`);
  expect(world.problems).toEqual([]);
});
