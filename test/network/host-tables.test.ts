/** What the suite looks at before and after itself shows every change of the host's network. */
import { test as anyTest, expect } from "bun:test";
import { createNetPrograms } from "../../src/network/programs.ts";
import { differences, hostTables } from "../support/host-tables.ts";
import { networkRemains } from "../support/network-remains.ts";
import { createOwnHost } from "./own-host.ts";
import { createWorld, NO_WORLD, vmOf } from "./world.ts";

const test = anyTest.skipIf(NO_WORLD !== undefined);
const OWN = "/proc/thread-self/ns/net";

test("hostTables() differs by a link, a route and a rule that came, and not by what a rule has counted", async () => {
  await using _host = await createOwnHost({ nameservers: [] });
  const programs = createNetPrograms();
  await programs.nft(OWN, "table inet mine {\nchain c {\ncounter packets 1 bytes 2 accept\n}\n}\n");
  const before = await hostTables();
  await programs.ip(undefined, ["route add 10.9.0.0/16 via 198.51.100.1", "link add other type bridge"]);
  await programs.nft(OWN, "table inet theirs {\n}\n");
  const changes = differences(before, await hostTables());
  expect(changes.map((line) => line.split(" ", 2).join(" "))).toEqual(["+ link", "+ nft", "+ route"]);
  await programs.ip(undefined, ["route del 10.9.0.0/16", "link del other"]);
  await programs.nft(OWN, "delete table inet theirs\nflush chain inet mine c\n");
  await programs.nft(OWN, "add rule inet mine c counter packets 7 bytes 8 accept\n");
  expect(differences(before, await hostTables())).toEqual([]);
});

test("networkRemains() finds namespace, link and uplink of a home, and nothing once they are gone", async () => {
  await using world = await createWorld();
  const home = `/world/${world.id}`;
  expect(networkRemains(home)).toEqual([]);
  await world.service.network.attach(vmOf("172.30.5.2", {}));
  expect(networkRemains(home).map((line) => line.split(" ", 1)[0])).toEqual(["namespace", "link", "uplink"]);
  await world.service.network.detach(vmOf("172.30.5.2", {}).id);
  await world.service.network.down();
  expect(networkRemains(home)).toEqual([]);
});
