/** Real guests without a network card: TCP and names over the agent's channel, under every policy. Host and internet are namespaces of the test's own. */
import { test as anyTest, expect } from "bun:test";
import { readFileSync } from "node:fs";
import { parseResolvConf } from "../../src/network/host-facts.ts";
import type { Vm } from "../../src/sdk/index.ts";
import {
  HOST,
  LAN_HOST,
  METADATA,
  OTHER_SITE,
  PRIVATE_HOST,
  SHARED_HOST,
  SITE,
} from "../network/addresses.ts";
import { createOwnHost, hostState } from "../network/own-host.ts";
import { NO_WORLD } from "../network/world.ts";
import { killToTheEnd } from "../support/processes.ts";
import { createRealHome, prepareRealHomes } from "../support/real-home.ts";

const ENV = { BANGER_NETWORK_MODE: "channel" };
const TARGETS = [SITE, OTHER_SITE, PRIVATE_HOST, LAN_HOST, SHARED_HOST, METADATA, HOST];
const PORTS = [80, 81];
type Cell = `${string}:${number}`;
const cells = (addresses: readonly string[], ports: readonly number[] = PORTS): Cell[] =>
  addresses.flatMap((address) => ports.map((port): Cell => `${address}:${port}`));

/** What a policy lets through over TCP; everything else is to be refused. */
const POLICIES: readonly (readonly [flags: readonly string[], open: readonly Cell[]])[] = [
  [["--network", "none"], []],
  [["--network", "public"], cells([SITE, OTHER_SITE])],
  [["--network", "full"], cells(TARGETS)],
  [["--network", "public", "--deny", OTHER_SITE], cells([SITE])],
  [["--network", "allow", "--allow", `${SITE}:80/tcp`, "--deny", OTHER_SITE], cells([SITE], [80])],
  [["--network", "allow", "--allow", `${SITE}:80/udp`], []],
  [["--network", "allow", "--allow", "10.1.0.0/16:81"], cells([PRIVATE_HOST], [81])],
  [["--network", "allow", "--allow", "0.0.0.0/0:80"], cells([SITE], [80])],
];

const test = anyTest.skipIf(NO_WORLD !== undefined);

test("a guest without a card reaches by TCP and by name what its policy says, and nothing else", async () => {
  const { servers } = parseResolvConf(readFileSync("/etc/resolv.conf", "utf8"));
  const nameservers = servers.filter((address) => !address.startsWith("127.") && !address.includes(":"));
  await prepareRealHomes();
  await using _host = await createOwnHost({ nameservers });
  const before = await hostState();
  await using home = await createRealHome();
  const banger = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await home.banger(args, { env: ENV });
    return code === 0 ? stdout.trim() : `${code}: ${stdout}${stderr}`.trim();
  };
  const sh = async (script: string): Promise<string> =>
    await banger("exec", "web", "--", "bash", "-c", script);
  const set = async (...flags: string[]): Promise<void> =>
    expect(await banger("set", "web", ...flags)).toBe("web");
  /** What bash says of each target: the greeting of its server, or how it was refused. */
  const reached = async (): Promise<{ open: Cell[]; words: string }> => {
    const all = cells(TARGETS);
    const greeted = (cell: Cell): string => {
      const [address, port] = cell.split(":");
      return `(exec 3<>/dev/tcp/${address}/${port} && read -t 30 -u 3 word; echo "${cell} $word") 2>&1`;
    };
    const words = await sh(all.map(greeted).join(";"));
    return { open: all.filter((cell) => words.includes(`${cell} hello`)), words };
  };
  expect(await banger("run", "-d", "-q", "--name", "web")).toBe("web");
  const shown = JSON.parse(await banger("show", "web", "--json")) as Vm;
  expect(shown.networkWay).toBe("channel");
  expect(await banger("network", "show")).toContain("network.mode is channel");
  expect(await banger("doctor")).toContain("TCP and names over the agent's channel");
  let tried = 0;
  for (const [flags, open] of POLICIES) {
    await set(...flags);
    const found = await reached();
    expect({ flags, open: found.open }, found.words).toEqual({ flags, open: [...open] });
    // A refusal is one, at once, and no silence.
    expect(found.words.match(/connect: Connection refused/g)?.length ?? 0, found.words).toBe(
      TARGETS.length * PORTS.length - open.length,
    );
    for (const cell of open.slice(0, 1))
      expect(await banger("network", "check", "web", cell)).toStartWith("allow");
    tried += TARGETS.length * PORTS.length;
  }
  console.log(`policies over the agent's channel: ${tried} connections`);
  expect(await banger("network", "check", "web", `${SITE}:80/udp`)).toContain("only TCP and names");
  if (nameservers.length > 0) {
    await set("--network", "allow", "--allow", "good.test:80/tcp");
    expect((await reached()).open).toEqual([]);
    expect(await sh("getent ahostsv4 good.test")).toContain(SITE);
    expect((await reached()).open).toEqual(cells([SITE], [80]));
    expect(await sh("getent ahostsv4 other.test; echo $?")).toBe("2");
  } else console.warn("skipped: names through the host's resolver, which is on its loopback");
  expect(await sh("getent ahostsv4 web.vm")).toContain("172.16.0.2");
  // A policy that closes cuts what is open, and the next daemon serves as this one did.
  await set("--network", "public");
  const held = sh(`exec 3<>/dev/tcp/${SITE}/80; read -u 3 word; echo $word > /run/held; cat <&3; echo cut`);
  await sh("until [ -e /run/held ]; do :; done");
  await set("--network", "none");
  expect(await held).toContain("cut");
  await killToTheEnd(await home.daemonPid());
  await set("--network", "public");
  // What is denied stays so until somebody says otherwise.
  expect((await reached()).open).toEqual(cells([SITE]));
  expect(await hostState()).toBe(before);
});
