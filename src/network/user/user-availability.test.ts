/** Why an ordinary user has no network for guests, and the cure, on hosts that are made up; and that this one is looked at. */
import { expect, test } from "bun:test";
import { BangerError } from "../../model/errors.ts";
import { userAvailability } from "./user-availability.ts";
import { THIS_HOST, type UserHost } from "./user-host.ts";

interface Made {
  readonly absent?: readonly string[];
  readonly settings?: Readonly<Record<string, string>>;
  readonly tun?: ReturnType<UserHost["tun"]>;
  /** What the trial's programs say when it fails. */
  readonly words?: string;
}

function createHost({ absent = [], settings = {}, tun = "open", words }: Made): UserHost {
  return {
    has: (program) => !absent.includes(program),
    setting: (name) => settings[name],
    tun: () => tun,
    tryOut: async () => {
      if (words === undefined) return;
      throw new BangerError("unavailable", "unshare failed", { details: { stderrTail: words } });
    },
  };
}

const NOT_PERMITTED = "unshare: unshare failed: Operation not permitted";

test.each<readonly [what: string, host: Made, why: string, cure: string]>([
  ["without pasta", { absent: ["pasta"] }, "not installed: pasta", "apt-get install passt"],
  [
    "without any program",
    { absent: ["ip", "nft", "pasta", "unshare", "nsenter"] },
    "not installed: ip, nft, pasta, unshare, nsenter",
    "apt-get install iproute2 nftables passt util-linux",
  ],
  [
    "without TUN",
    { tun: "absent" },
    "/dev/net/tun is not there",
    "as root: modprobe tun; in a container, start it with that device",
  ],
  [
    "whose TUN is root's",
    { tun: "closed" },
    "this user may not open /dev/net/tun",
    'as root: chmod 666 /dev/net/tun, and for the next boot a udev rule: KERNEL=="tun", MODE="0666"',
  ],
  [
    "without user namespaces",
    { settings: { "user/max_user_namespaces": "0" }, words: NOT_PERMITTED },
    "this host forbids user namespaces",
    "as root: sysctl user.max_user_namespaces=10000, and for the next boot the same in a file of /etc/sysctl.d",
  ],
  [
    "without network namespaces",
    { settings: { "user/max_net_namespaces": "0" }, words: "No space left on device" },
    "this host forbids network namespaces",
    "as root: sysctl user.max_net_namespaces=10000, and for the next boot the same in a file of /etc/sysctl.d",
  ],
  [
    "whose user namespaces are root's",
    { settings: { "kernel/unprivileged_userns_clone": "0" }, words: NOT_PERMITTED },
    "this host forbids ordinary users their user namespaces",
    "as root: sysctl kernel.unprivileged_userns_clone=1, and for the next boot the same in a file of /etc/sysctl.d",
  ],
  [
    "with Ubuntu's AppArmor",
    {
      settings: { "kernel/apparmor_restrict_unprivileged_userns": "1" },
      words: "unshare: write failed /proc/self/uid_map: Operation not permitted",
    },
    "AppArmor forbids ordinary users what is in their user namespaces",
    "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0, and for the next boot the same in a file of /etc/sysctl.d",
  ],
  [
    "where no process is attached to",
    { settings: { "kernel/yama/ptrace_scope": "3" } },
    "this host forbids taking a tap from another process",
    "as root: take kernel.yama.ptrace_scope=3 out of /etc/sysctl.d and /etc/sysctl.conf, and reboot",
  ],
  [
    "that refuses for a reason of its own",
    { settings: { "kernel/apparmor_restrict_unprivileged_userns": "0" }, words: NOT_PERMITTED },
    `this user cannot make taps and rules here: ${NOT_PERMITTED}`,
    "allow user namespaces with a network of their own (a container's seccomp profile often forbids them), or run banger as root",
  ],
])("a host %s is told so, with the cure", async (_, host, why, cure) => {
  expect(await userAvailability({ host: createHost(host) })()).toEqual({ kind: "none", why, cure });
});

test("what works is not refused for a setting that may have an exception", async () => {
  const settings = {
    "kernel/apparmor_restrict_unprivileged_userns": "1",
    "kernel/unprivileged_userns_clone": "1",
    "kernel/yama/ptrace_scope": "1",
    "user/max_user_namespaces": "1",
  };
  const found = await userAvailability({ host: createHost({ settings }) })();
  expect(found).toEqual({ kind: "namespace", owner: "user" });
});

test("a host is looked at again a while after a no, and never after a yes", async () => {
  let now = 0;
  let trials = 0;
  let words: string | undefined = NOT_PERMITTED;
  const host: UserHost = {
    ...createHost({}),
    tryOut: async () => {
      trials += 1;
      await createHost(words === undefined ? {} : { words }).tryOut();
    },
  };
  const available = userAvailability({ now: () => now, host });
  const kinds = [(await available()).kind];
  words = undefined;
  now = 9_999;
  kinds.push((await available()).kind);
  now = 10_000;
  kinds.push((await available()).kind);
  words = NOT_PERMITTED;
  now = 100_000;
  kinds.push((await available()).kind);
  expect(kinds).toEqual(["none", "none", "namespace", "namespace"]);
  expect(trials).toBe(2);
});

test("this host's settings, programs and TUN are found where they are", () => {
  expect(THIS_HOST.has("sh")).toBe(true);
  expect(THIS_HOST.has("no-such-program-of-banger")).toBe(false);
  expect(THIS_HOST.setting("kernel/ostype")).toBe("Linux");
  expect(THIS_HOST.setting("kernel/no_such_setting")).toBeUndefined();
  expect(["open", "closed", "absent"]).toContain(THIS_HOST.tun());
});
