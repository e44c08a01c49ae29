/** A host of our own with an internet behind it, in two network namespaces, and this thread on it. */
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { inNetns } from "../../src/lib/netns.ts";
import { createNetPrograms, type NetPrograms } from "../../src/network/programs.ts";
import { HOST, HOST6, INTERNET, INTERNET6, ROUTER, ROUTER6 } from "./addresses.ts";
import { EnteredNetns } from "./entered-netns.ts";
import { serveInternet } from "./internet.ts";

const SETTLING_MS = 30_000;
/** In hexadecimal (include/net/ipv6.h: IPV6_ADDR_LINKLOCAL). */
const LINK_SCOPE = "20";

/**
 * From its making to its disposal this thread, and with it all that it makes, is on that host. `id`: six characters for names; default:
 * random ones. `ipv6`: host and internet speak it, too.
 */
export async function createOwnHost({
  id = randomBytes(3).toString("hex"),
  nameservers,
  ipv6 = false,
}: {
  readonly id?: string;
  readonly nameservers: readonly string[];
  readonly ipv6?: boolean;
}): Promise<AsyncDisposable> {
  await using undo = new AsyncDisposableStack();
  const programs = createNetPrograms();
  const [host, internet] = [`bt${id}h`, `bt${id}i`];
  for (const name of [host, internet]) {
    await programs.ip(undefined, [`netns add ${name}`]);
    undo.defer(() => programs.ip(undefined, [`netns del ${name}`]));
    setIpv6(`/run/netns/${name}`, ipv6);
  }
  await connect(programs, { host, internet, addresses: new Set([...INTERNET, ...nameservers]) });
  if (ipv6) await connect6(programs, { host, internet });
  for (const name of ipv6 ? [host, internet] : []) await settleIpv6(`/run/netns/${name}`);
  undo.use(new EnteredNetns(`/run/netns/${host}`));
  writeFileSync("/proc/sys/net/ipv4/ping_group_range", "0 2147483647");
  undo.use(await serveInternet(`/run/netns/${internet}`, { host: `/run/netns/${host}`, nameservers, ipv6 }));
  return undo.move();
}

/** An address that the kernel gives itself after a while would make no two looks alike. */
function setIpv6(netns: string, isWanted: boolean): void {
  inNetns(netns, () => {
    for (const part of ["all", "default"]) {
      writeFileSync(`/proc/sys/net/ipv6/conf/${part}/disable_ipv6`, isWanted ? "0" : "1");
      writeFileSync(`/proc/sys/net/ipv6/conf/${part}/accept_dad`, "0");
    }
  });
}

async function connect6(
  programs: NetPrograms,
  { host, internet }: { readonly host: string; readonly internet: string },
): Promise<void> {
  await programs.ip(`/run/netns/${internet}`, [
    `addr add ${ROUTER6}/64 dev eth0 nodad`,
    ...INTERNET6.map((address) => `addr add ${address}/128 dev lo nodad`),
  ]);
  await programs.ip(`/run/netns/${host}`, [
    `addr add ${HOST6}/64 dev eth0 nodad`,
    `route add ::/0 via ${ROUTER6}`,
  ]);
}

/** Resolves when the link has an address of its own, which it gets when the kernel has noticed that it is up, and each address its route (net/ipv6/addrconf.c). */
async function settleIpv6(netns: string): Promise<void> {
  const until = performance.now() + SETTLING_MS;
  while (!inNetns(netns, isSettled)) {
    if (performance.now() > until) throw new Error(`the addresses of ${netns} do not settle`);
    await new Promise(setImmediate);
  }
}

/** By proc_net(5): if_inet6 has address, index, length, scope and device; ipv6_route destination and length first. */
function isSettled(): boolean {
  const read = (name: string): string[][] =>
    readFileSync(`/proc/thread-self/net/${name}`, "latin1")
      .split("\n")
      .map((line) => line.trim().split(/\s+/));
  const addresses = read("if_inet6").filter((fields) => fields.at(-1) === "eth0");
  const placed = new Set(read("ipv6_route").flatMap(([to = "", bits]) => (bits === "80" ? [to] : [])));
  return (
    addresses.some(([, , , scope]) => scope === LINK_SCOPE) &&
    addresses.every(([address = ""]) => placed.has(address))
  );
}

async function connect(
  programs: NetPrograms,
  {
    host,
    internet,
    addresses,
  }: { readonly host: string; readonly internet: string; readonly addresses: ReadonlySet<string> },
): Promise<void> {
  await programs.ip(`/run/netns/${internet}`, [
    "link set lo up",
    `link add eth0 type veth peer name eth0 netns ${host}`,
    `addr add ${ROUTER}/24 dev eth0`,
    "link set eth0 up",
    ...[...addresses].map((address) => `addr add ${address}/32 dev lo`),
  ]);
  await programs.ip(`/run/netns/${host}`, [
    "link set lo up",
    `addr add ${HOST}/24 dev eth0`,
    "link set eth0 up",
    `route add default via ${ROUTER}`,
  ]);
}

/** The names of namespaces and links, the routes and rules that this thread's network has now. */
export async function hostState(): Promise<string> {
  const programs = createNetPrograms();
  const [links, routes, rules] = await Promise.all([
    programs.ipJson(undefined, ["link", "show"]),
    programs.ipJson(undefined, ["route", "show", "table", "all"]),
    programs.ipJson(undefined, ["rule", "show"]),
  ]);
  const ruleset = await programs.nftJson("/proc/thread-self/ns/net", ["list", "ruleset"]);
  const state = { links: names(links), routes, rules, ruleset };
  return JSON.stringify(state, (key, value: unknown) =>
    key === "flags" && Array.isArray(value) ? value.filter((flag) => flag !== LINK_DOWN) : value,
  );
}

/** Of a route whose link has no carrier, which the kernel learns a moment after the link is up. */
const LINK_DOWN = "linkdown";

function names(links: unknown): unknown[] {
  return Array.isArray(links) ? links.map((link: { ifname?: unknown }) => link.ifname) : [];
}
