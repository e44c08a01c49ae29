/** Real guests with IPv6: booted, forked, of a snapshot and of a template, each at its own address; host and internet are namespaces of the test's own. */
import { expect, test } from "bun:test";
import { existsSync } from "node:fs";
import { parseIp } from "../../src/model/ip.ts";
import { GATEWAY6, HOST6, METADATA6, POOL6, PRIVATE_HOST6, SITE, SITE6 } from "../network/addresses.ts";
import { createOwnHost, hostState } from "../network/own-host.ts";
import { ask } from "../network/probe.ts";
import { NO_WORLD } from "../network/world.ts";
import { greetingsOf } from "../support/greetings.ts";
import { killToTheEnd } from "../support/processes.ts";
import { createRealHome, prepareRealHomes } from "../support/real-home.ts";
import { templateMade } from "../support/template-made.ts";

const OWN = "/proc/thread-self/ns/net";
const SMALL = ["--memory", "256M", "--disk", "1G"] as const;
const TARGETS = [SITE6, PRIVATE_HOST6, METADATA6, HOST6, SITE];
const SERVERS = greetingsOf(TARGETS);
/** The addresses of the guest's cards, as its kernel has them (net/ipv6/addrconf.c: if6_seq_show). */
const OWN_PLACE = "while read -r a i p s f d; do [ $d = lo ] || echo $a/$p; done < /proc/net/if_inet6";

function hexOf(address: string): string | undefined {
  return parseIp(address)?.value.toString(16).padStart(32, "0");
}

interface Shown {
  readonly address: string;
  readonly address6?: string;
}

test.skipIf(NO_WORLD !== undefined)(
  "guests have the IPv6 addresses that go with their IPv4 ones, in each of a VM's lives, and reach what their policy says",
  async () => {
    await prepareRealHomes();
    await using _host = await createOwnHost({ nameservers: [], ipv6: true });
    const before = await hostState();
    let namespace: string;
    {
      const env = { BANGER_NETWORK_POOL6: POOL6 };
      await using home = await createRealHome({ templates: true, env });
      const banger = async (...args: string[]): Promise<string> => {
        const { code, stdout, stderr } = await home.banger(args);
        if (code !== 0) throw new Error(`banger ${args.join(" ")}: ${code}: ${stderr}`);
        return stdout.trim();
      };
      const sh = async (vm: string, script: string): Promise<string> =>
        await banger("exec", vm, "--", "bash", "-c", script);
      const reaches = async (vm: string): Promise<string[]> => SERVERS.heardIn(await sh(vm, SERVERS.script));
      const show = async (vm: string): Promise<Shown> =>
        JSON.parse(await banger("show", "--json", vm)) as Shown;
      /** That the guest, banger and the host agree about where it is. */
      const checkPlace = async (vm: string): Promise<string> => {
        const { address, address6 = "none" } = await show(vm);
        const bytes = address.split(".").map((part) => Number(part).toString(16).padStart(2, "0"));
        const [a, b, c, d] = bytes;
        // In hexadecimal, with the length of the prefix behind it.
        const own = (await sh(vm, OWN_PLACE)).split("\n").toSorted();
        expect(own).toEqual([
          `fd300005${"0".repeat(16)}${bytes.join("")}/80`,
          `fe80${"0".repeat(12)}0062${a}fffe${b}${c}${d}/40`,
        ]);
        expect(hexOf(address6)).toBe(`fd300005${"0".repeat(16)}${bytes.join("")}`);
        const message = Buffer.from([128, 0, 0, 0, 0, 0, 0, 1]);
        const pong = await ask(OWN, {
          protocol: "icmp",
          address: address6,
          port: 0,
          timeoutMs: 30_000,
          message,
        });
        expect(pong?.[0]).toBe(129);
        return address6;
      };

      await banger("run", "-d", "-q", "--cold", ...SMALL, "--name", "web");
      const report = JSON.parse(await banger("network", "show", "--json")) as Record<string, string>;
      expect(report).toMatchObject({ pool6: POOL6, gateway6: GATEWAY6 });
      namespace = `/run/netns/${report["namespace"]}`;
      const address6 = await checkPlace("web");
      expect(await reaches("web")).toEqual([SITE6, SITE]);
      expect(await banger("network", "check", "web", `[${SITE6}]:80`)).toBe("allow: mode public");

      // Another daemon: the rules and the address are the same.
      await killToTheEnd(await home.daemonPid());
      await banger("set", "web", "--network", "full");
      expect(await checkPlace("web")).toBe(address6);
      expect(await reaches("web")).toEqual(TARGETS);
      await banger("set", "web", "--allow", `[${PRIVATE_HOST6}]:80`);
      expect(await reaches("web")).toEqual([PRIVATE_HOST6]);

      // Clones: at their own addresses, under the policy that was saved or set.
      await banger("fork", "web");
      await banger("snapshot", "create", "web", "one");
      await banger("run", "-d", "-q", "--name", "later", "--snapshot", "one", "--network", "public");
      const all = [await checkPlace("web"), await checkPlace("web-1"), await checkPlace("later")];
      expect(new Set(all).size).toBe(3);
      expect(await reaches("web-1")).toEqual([PRIVATE_HOST6]);
      expect(await reaches("later")).toEqual([SITE6, SITE]);
      expect(await sh("later", "getent ahostsv6 web.vm")).toContain(`${address6} `);
      await banger("rm", "-f", "web", "web-1", "later");
      await banger("snapshot", "rm", "one");

      // And one of a template, which had no place at all before.
      const made = templateMade(home.home);
      await banger("run", "--rm", "-q", ...SMALL, "--", "true");
      await made;
      await banger("run", "-d", "-q", ...SMALL, "--name", "warm");
      await checkPlace("warm");
      expect(await reaches("warm")).toEqual([SITE6, SITE]);
    }
    expect(existsSync(namespace)).toBe(false);
    expect(await hostState()).toBe(before);
  },
);
