/** Guests of an ordinary user on the network: a card each, in a namespace that only the user's own processes keep. */
import { expect, test } from "bun:test";
import { readFileSync, readlinkSync } from "node:fs";
import type { ProcessHandle } from "../../src/lib/process-identity.ts";
import type { DoctorRow } from "../../src/model/doctor.ts";
import { parseResolvConf } from "../../src/network/host-facts.ts";
import { HOST, METADATA, PRIVATE_HOST, SITE } from "../network/addresses.ts";
import { createOwnHost, hostState } from "../network/own-host.ts";
import { workersIn } from "../network/workers.ts";
import { greetingsOf } from "../support/greetings.ts";
import { createOrdinaryUser, isUser, NO_USER, ORDINARY_UID } from "../support/ordinary-user.ts";
import { createRealHome, prepareRealHomes } from "../support/real-home.ts";
import {
  keepersOf,
  killUserDaemon,
  userNamespace,
  userNetworkRemains,
  workersOf,
} from "../support/user-network.ts";

const SERVERS = greetingsOf([SITE, PRIVATE_HOST, METADATA, HOST]);

test.skipIf(NO_USER !== undefined)(
  "an ordinary user's guest has the internet by default, what set says at once, and leaves nothing",
  async () => {
    const { servers } = parseResolvConf(readFileSync("/etc/resolv.conf", "utf8"));
    const nameservers = servers.filter((address) => !address.startsWith("127.") && !address.includes(":"));
    await prepareRealHomes();
    await using _host = await createOwnHost({ nameservers });
    const before = await hostState();
    await using user = await createOrdinaryUser();
    await using home = await createRealHome({ program: user.program, uid: ORDINARY_UID });
    const banger = async (...args: string[]): Promise<string> => {
      const { code, stdout, stderr } = await home.banger(args);
      return code === 0 ? stdout.trim() : `${code}: ${stdout}${stderr}`.trim();
    };
    const reaches = async (): Promise<string[]> =>
      SERVERS.heardIn(await banger("exec", "web", "--", "bash", "-c", SERVERS.script));
    const namespace = userNamespace(home.home);
    const keepers = (): readonly ProcessHandle[] => keepersOf(home.home);

    expect(await banger("run", "-d", "-q", "--name", "web")).toBe("web");
    const report: unknown = JSON.parse(await banger("network", "show", "--json"));
    expect(report).toMatchObject({ kind: "namespace", up: true, namespace, uplink: "pasta" });
    expect(report).not.toHaveProperty("hostLink");
    expect(report).toHaveProperty("keeper", keepers()[0]?.pid);
    expect(await banger("network", "show")).toContain(`(kept by the process ${keepers()[0]?.pid})`);
    expect(await banger("doctor")).toMatch(/PASS {2}network: .* an ordinary user's namespace has no link/);
    expect(await reaches()).toEqual([SITE]);
    // What runs the guest has no rights over its rules: it is outside of the namespaces and has but the tap.
    const [hypervisor = 0] = home.hypervisors();
    const [keeper] = keepers();
    expect(readlinkSync(`/proc/${hypervisor}/ns/user`)).toBe(readlinkSync("/proc/self/ns/user"));
    expect(readlinkSync(`/proc/${hypervisor}/ns/net`)).not.toBe(readlinkSync(`/proc/${keeper?.pid}/ns/net`));

    await banger("set", "web", "--network", "full");
    expect(await reaches()).toEqual([SITE, PRIVATE_HOST, METADATA, HOST]);
    expect(await workersOf(home.home)).toEqual(workersIn(keeper, { isOurs: isUser }));
    // What works in the namespace goes with the daemon; the namespace and all rules stay.
    await killUserDaemon(home);
    expect(await banger("set", "web", "--allow", `${SITE}:80/tcp`)).toBe("web");
    expect(keepers()).toEqual(keeper === undefined ? [] : [keeper]);
    expect(await reaches()).toEqual([SITE]);
    expect(await banger("exec", "web", "--", "getent", "ahostsv4", "web.vm")).toContain("172.16.0.2");
    if (nameservers.length > 0) {
      await banger("set", "web", "--network", "public");
      expect(await banger("exec", "web", "--", "getent", "ahostsv4", "good.test")).toContain(SITE);
    } else console.warn("skipped: names through the host's resolver, which is on its loopback");
    expect(await banger("network", "down")).toContain("the network is used by web");

    expect(await banger("rm", "-f", "web")).toBe("web");
    expect(await banger("network", "down")).toBe("removed");
    expect(await userNetworkRemains(home.home)).toEqual([]);
    expect(await hostState()).toBe(before);
  },
);

test.skipIf(NO_USER !== undefined)(
  "an ordinary user who may not open TUN is told so by doctor and network show, with the cure",
  async () => {
    await using user = await createOrdinaryUser({ tunMode: "600" });
    await using home = await createRealHome({ bare: true, program: user.program, uid: ORDINARY_UID });
    const why = "this user may not open /dev/net/tun";
    const cure = expect.stringMatching(/^as root: chmod 666 \/dev\/net\/tun/);
    const report = JSON.parse((await home.must(["network", "show", "--json"])).stdout);
    expect(report).toMatchObject({ kind: "channel", why, cure, up: false });
    expect(report).not.toHaveProperty("hostLink");
    const { stdout } = await home.banger(["doctor", "--json"]);
    const { rows } = JSON.parse(stdout) as { rows: readonly DoctorRow[] };
    const message = `guests have no network card, and TCP and names over the agent's channel: ${why}`;
    expect(rows.filter(({ check }) => check === "network")).toEqual([
      { check: "network", verdict: "warn", message, cure },
    ]);
  },
);
