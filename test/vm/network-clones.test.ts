/** Clones of real guests on the network: forks, templates and snapshots that go on, each at its own address and under its own policy. */
import { afterAll, beforeAll, describe, expect, test } from "bun:test";
import { HOST, PRIVATE_HOST, SITE } from "../network/addresses.ts";
import { createOwnHost } from "../network/own-host.ts";
import { ask } from "../network/probe.ts";
import { NO_WORLD } from "../network/world.ts";
import { greetingsOf } from "../support/greetings.ts";
import { createRealHome, prepareRealHomes, type RealHome } from "../support/real-home.ts";
import { templateMade } from "../support/template-made.ts";

const OWN = "/proc/thread-self/ns/net";
const SMALL = ["--memory", "256M", "--disk", "1G"] as const;
const SERVERS = greetingsOf([SITE, PRIVATE_HOST, HOST]);

describe.skipIf(NO_WORLD !== undefined)("a guest that goes on from another one", () => {
  let undo: AsyncDisposableStack;
  let home: RealHome;
  const banger = async (...args: string[]): Promise<string> => {
    const { code, stdout, stderr } = await home.banger(args);
    if (code !== 0) throw new Error(`banger ${args.join(" ")}: ${code}: ${stderr}`);
    return stdout.trim();
  };
  const sh = async (vm: string, script: string): Promise<string> =>
    await banger("exec", vm, "--", "bash", "-c", script);
  const reaches = async (vm: string): Promise<string[]> => SERVERS.heardIn(await sh(vm, SERVERS.script));
  const addressOf = async (vm: string): Promise<string> =>
    (JSON.parse(await banger("show", "--json", vm)) as { address: string }).address;
  /** What the guest's kernel takes for its own, and what its card is. */
  const own = async (vm: string): Promise<string[]> =>
    (await sh(vm, "hostname -I; cat /sys/class/net/e*/address; grep -c ^nameserver /etc/resolv.conf")).split(
      /\s+/,
    );
  const answersPing = async (address: string): Promise<boolean> => {
    const message = Buffer.from([8, 0, 0, 0, 0, 0, 0, 1]);
    const pong = await ask(OWN, { protocol: "icmp", address, port: 0, timeoutMs: 30_000, message });
    return pong?.[0] === 0;
  };
  const macOf = (address: string): string =>
    `02:62:${address
      .split(".")
      .map((part) => Number(part).toString(16).padStart(2, "0"))
      .join(":")}`;

  beforeAll(async () => {
    undo = new AsyncDisposableStack();
    await prepareRealHomes();
    undo.use(await createOwnHost({ nameservers: [] }));
    home = undo.use(await createRealHome({ templates: true }));
  });
  afterAll(async () => await undo.disposeAsync());

  test("a fork reaches a server at once, at its own address, beside the parent", async () => {
    await banger("run", "-d", "-q", "--cold", ...SMALL, "--name", "web");
    await banger("fork", "web", "--count", "2");
    for (const vm of ["web-1", "web-2", "web"]) {
      expect(await reaches(vm)).toEqual([SITE]);
      const address = await addressOf(vm);
      expect(await own(vm)).toEqual([address, macOf(address), "1"]);
      expect(await answersPing(address)).toBe(true);
    }
    expect(new Set(await Promise.all(["web-1", "web-2", "web"].map(addressOf))).size).toBe(3);
  });

  test("a policy that is set for one is that of no other", async () => {
    await banger("set", "web-1", "--network", "full");
    await banger("set", "web-2", "--network", "none");
    expect(await reaches("web-1")).toEqual([SITE, PRIVATE_HOST, HOST]);
    expect(await reaches("web-2")).toEqual([]);
    expect(await reaches("web")).toEqual([SITE]);
    // A fork of it is as closed as it is.
    await banger("fork", "web-2", "--name", "closed");
    expect(await reaches("closed-1")).toEqual([]);
  });

  test("a VM of a snapshot has an address of its own, and no snapshot opens what set has closed", async () => {
    await banger("snapshot", "create", "web", "open");
    await banger("run", "-d", "-q", "--name", "later", "--snapshot", "open", "--network", "none");
    const address = await addressOf("later");
    expect(await own("later")).toEqual([address, macOf(address), "1"]);
    expect(await reaches("later")).toEqual([]);
    await banger("set", "web", "--network", "none");
    await banger("snapshot", "restore", "web", "open");
    expect(await reaches("web")).toEqual([]);
    await banger("set", "web", "--network", "public");
    expect(await reaches("web")).toEqual([SITE]);
    await banger("rm", "-f", "web", "web-1", "web-2", "closed-1", "later");
    await banger("snapshot", "rm", "open");
  });

  test("a clone of a template has the network under its own policy with its first command", async () => {
    const made = templateMade(home.home);
    expect(
      SERVERS.heardIn(await banger("run", "--rm", "-q", ...SMALL, "--", "bash", "-c", SERVERS.script)),
    ).toEqual([SITE]);
    await made;
    for (const [mode, expected] of [
      ["public", [SITE]],
      ["none", []],
      ["full", [SITE, PRIVATE_HOST, HOST]],
    ] as const) {
      const args = ["run", "--rm", ...SMALL, "--network", mode, "--", "bash", "-c", SERVERS.script];
      const { code, stdout, stderr } = await home.banger(args);
      expect(code).toBe(0);
      expect(stderr).not.toContain("configure");
      expect(SERVERS.heardIn(stdout)).toEqual([...expected]);
    }
    await banger("run", "-d", "-q", ...SMALL, "--name", "warm");
    const address = await addressOf("warm");
    expect(await own("warm")).toEqual([address, macOf(address), "1"]);
    expect(await sh("warm", "getent ahostsv4 warm.vm")).toContain(address);
    await banger("rm", "-f", "warm");
  });
});
