/**
 * Whether an ordinary user can have a network for guests on this host: tried out, because distributions forbid it in many ways, and
 * allow it in spite of one, as a profile of AppArmor's does. What is known to forbid it explains a trial that failed.
 */
import { BangerError } from "../../model/errors.ts";
import { type CardAvailability, noCards } from "../availability.ts";
import { THIS_HOST, TUN, type UserHost } from "./user-host.ts";

const PROGRAMS: readonly (readonly [program: string, apt: string])[] = [
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["pasta", "passt"],
  ["unshare", "util-linux"],
  ["nsenter", "util-linux"],
];

/** A setting by which a host forbids what is needed, with the value that does. */
interface Forbidding {
  readonly setting: string;
  readonly value: string;
  readonly why: string;
  readonly cure: string;
}

/** The trial takes no tap from another process (linux/Documentation/admin-guide/LSM/Yama.rst: 3 holds until the host boots again). */
const NO_ATTACH: Forbidding = {
  setting: "kernel/yama/ptrace_scope",
  value: "3",
  why: "this host forbids taking a tap from another process",
  cure: "as root: take kernel.yama.ptrace_scope=3 out of /etc/sysctl.d and /etc/sysctl.conf, and reboot",
};

const FORBIDDING: readonly Forbidding[] = [
  {
    setting: "user/max_user_namespaces",
    value: "0",
    why: "this host forbids user namespaces",
    cure: lasting("user.max_user_namespaces=10000"),
  },
  {
    setting: "user/max_net_namespaces",
    value: "0",
    why: "this host forbids network namespaces",
    cure: lasting("user.max_net_namespaces=10000"),
  },
  {
    setting: "kernel/unprivileged_userns_clone",
    value: "0",
    why: "this host forbids ordinary users their user namespaces",
    cure: lasting("kernel.unprivileged_userns_clone=1"),
  },
  {
    setting: "kernel/apparmor_restrict_unprivileged_userns",
    value: "1",
    why: "AppArmor forbids ordinary users what is in their user namespaces",
    cure: lasting("kernel.apparmor_restrict_unprivileged_userns=0"),
  },
];

/** A trial that failed holds so long: whoever cured it looks again. */
const FAILED_MS = 10_000;

/** One that remembers: what works once works until the daemon ends. */
export function userAvailability({
  now = () => performance.now(),
  host = THIS_HOST,
}: {
  readonly now?: () => number;
  readonly host?: UserHost;
} = {}): () => Promise<CardAvailability> {
  let tried: { readonly at: number; readonly found: Promise<CardAvailability> } | undefined;
  return async () => {
    if (tried !== undefined && now() - tried.at >= FAILED_MS && (await tried.found).kind === "none") {
      tried = undefined;
    }
    tried ??= { at: now(), found: look(host) };
    return await tried.found;
  };
}

async function look(host: UserHost): Promise<CardAvailability> {
  return missing(host) ?? closedTun(host) ?? forbidden(host, [NO_ATTACH]) ?? (await tryOut(host));
}

function missing(host: UserHost): CardAvailability | undefined {
  const absent = PROGRAMS.filter(([program]) => !host.has(program));
  if (absent.length === 0) return undefined;
  const packages = new Set(absent.map(([, apt]) => apt));
  return noCards(
    `not installed: ${absent.map(([program]) => program).join(", ")}`,
    `apt-get install ${[...packages].join(" ")}`,
  );
}

function closedTun(host: UserHost): CardAvailability | undefined {
  switch (host.tun()) {
    case "open":
      return undefined;
    case "absent":
      return noCards(
        `${TUN} is not there`,
        "as root: modprobe tun; in a container, start it with that device",
      );
    case "closed":
      return noCards(
        `this user may not open ${TUN}`,
        `as root: chmod 666 ${TUN}, and for the next boot a udev rule: KERNEL=="tun", MODE="0666"`,
      );
  }
}

function forbidden(host: UserHost, settings: readonly Forbidding[]): CardAvailability | undefined {
  const found = settings.find(({ setting, value }) => host.setting(setting) === value);
  return found === undefined ? undefined : noCards(found.why, found.cure);
}

async function tryOut(host: UserHost): Promise<CardAvailability> {
  try {
    await host.tryOut();
    return { kind: "namespace", owner: "user" };
  } catch (error) {
    const known = forbidden(host, FORBIDDING);
    if (known !== undefined) return known;
    const { details, message } = BangerError.from(error);
    const words = details["stderrTail"];
    return noCards(
      `this user cannot make taps and rules here: ${typeof words === "string" && words !== "" ? words : message}`,
      "allow user namespaces with a network of their own (a container's seccomp profile often forbids them), or run banger as root",
    );
  }
}

function lasting(setting: string): string {
  return `as root: sysctl ${setting}, and for the next boot the same in a file of /etc/sysctl.d`;
}
