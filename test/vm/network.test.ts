/** Real guests on the network: cards, policies, names, a daemon that restarts. Host and internet are namespaces of the test's own. */
import { expect, test } from "bun:test";
import { existsSync, readFileSync } from "node:fs";
import { parseResolvConf } from "../../src/network/host-facts.ts";
import { HOST, METADATA, PRIVATE_HOST, SITE } from "../network/addresses.ts";
import { createOwnHost, hostState } from "../network/own-host.ts";
import { ask } from "../network/probe.ts";
import { NO_WORLD } from "../network/world.ts";
import { greetingsOf } from "../support/greetings.ts";
import { killToTheEnd } from "../support/processes.ts";
import { createRealHome, prepareRealHomes } from "../support/real-home.ts";

const OWN = "/proc/thread-self/ns/net";
const SERVERS = greetingsOf([SITE, PRIVATE_HOST, METADATA, HOST]);

test.skipIf(NO_WORLD !== undefined)(
  "a guest has the internet by default, and what set says at once",
  async () => {
    const { servers } = parseResolvConf(readFileSync("/etc/resolv.conf", "utf8"));
    const nameservers = servers.filter((address) => !address.startsWith("127.") && !address.includes(":"));
    await prepareRealHomes();
    await using _host = await createOwnHost({ nameservers });
    const before = await hostState();
    let namespace: string;
    {
      await using home = await createRealHome();
      const banger = async (...args: string[]): Promise<string> => {
        const { code, stdout, stderr } = await home.banger(args);
        return code === 0 ? stdout.trim() : `${code}: ${stdout}${stderr}`.trim();
      };
      const reaches = async (): Promise<string[]> =>
        SERVERS.heardIn(await banger("exec", "web", "--", "bash", "-c", SERVERS.script));
      expect(await banger("run", "-d", "-q", "--name", "web")).toBe("web");
      namespace = `/run/netns/${(JSON.parse(await banger("network", "show", "--json")) as { namespace: string }).namespace}`;
      expect(existsSync(namespace)).toBe(true);
      expect(await reaches()).toEqual([SITE]);
      // Without network.pool6 the card speaks no IPv6, and programs ask for no addresses of it.
      expect(await banger("exec", "web", "--", "sh", "-c", "grep eth0 /proc/net/if_inet6 || echo none")).toBe(
        "none",
      );
      await banger("set", "web", "--network", "full");
      expect(await reaches()).toEqual([SITE, PRIVATE_HOST, METADATA, HOST]);
      // The policy of a daemon that died is that of the next one, and so is the resolver.
      await killToTheEnd(await home.daemonPid());
      await banger("set", "web", "--allow", "good.test:80/tcp");
      expect(await reaches()).toEqual([]);
      expect(await banger("network", "check", "web", `${SITE}:80`)).toStartWith("1: deny");
      if (nameservers.length > 0) {
        expect(await banger("network", "check", "web", "good.test:80")).toBe(
          "allow: --allow good.test:80/tcp",
        );
        expect(await banger("exec", "web", "--", "getent", "ahostsv4", "good.test")).toContain(SITE);
        expect(await reaches()).toEqual([SITE]);
      } else console.warn("skipped: names through the host's resolver, which is on its loopback");
      expect(await banger("exec", "web", "--", "getent", "ahostsv4", "web.vm")).toContain("172.16.0.2");
      // From the host: the guest's address, and its name.
      const echo = Buffer.from([8, 0, 0, 0, 0, 0, 0, 1]);
      const question = { protocol: "icmp", address: "172.16.0.2", port: 0, timeoutMs: 30_000 } as const;
      const pong = await ask(OWN, { ...question, message: echo });
      expect(pong?.[0]).toBe(0);
      expect(await banger("set", "web", "--allow", "localhost:80")).toContain("names a private place");
      expect(await banger("network", "down")).toContain("the network is used by web");
    }
    expect(existsSync(namespace)).toBe(false);
    expect(await hostState()).toBe(before);
  },
);
