/** Whether an ordinary user can have a network for guests on this host: looked up, and then tried out, because distributions forbid it in many ways. */
import { accessSync, constants, existsSync, readFileSync } from "node:fs";
import { findProgram, runProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import { type CardAvailability, noCards } from "../availability.ts";
import { createRuleset } from "../ruleset.ts";
import { UNSHARE } from "./holder.ts";

const PROGRAMS: readonly (readonly [program: string, apt: string])[] = [
  ["ip", "iproute2"],
  ["nft", "nftables"],
  ["pasta", "passt"],
  ["unshare", "util-linux"],
  ["nsenter", "util-linux"],
];

const TUN = "/dev/net/tun";

/** Settings by which a host forbids what is needed, each with the value that does. */
const FORBIDDING: readonly (readonly [setting: string, value: string, why: string])[] = [
  ["user/max_user_namespaces", "0", "this host forbids user namespaces"],
  ["kernel/unprivileged_userns_clone", "0", "this host forbids ordinary users their user namespaces"],
  [
    "kernel/apparmor_restrict_unprivileged_userns",
    "1",
    "AppArmor forbids ordinary users what is in their user namespaces",
  ],
  ["kernel/yama/ptrace_scope", "3", "this host forbids taking a tap from another process"],
];
const CURES: Readonly<Record<string, string>> = {
  "user/max_user_namespaces": "as root: sysctl user.max_user_namespaces=10000",
  "kernel/unprivileged_userns_clone": "as root: sysctl kernel.unprivileged_userns_clone=1",
  "kernel/apparmor_restrict_unprivileged_userns":
    "as root: sysctl kernel.apparmor_restrict_unprivileged_userns=0",
  "kernel/yama/ptrace_scope":
    "as root, which holds from the next boot: remove kernel.yama.ptrace_scope=3 from sysctl.d",
};

/** Makes what the network consists of in namespaces of its own, which end with it. */
const TRY_OUT =
  '"$1" link add br0 type bridge && "$1" tuntap add dev tap0 mode tap vnet_hdr && exec "$2" -f -';
/** A trial that failed holds so long: whoever cured it looks again. */
const FAILED_MS = 10_000;

/** One that remembers: what works once works until the daemon ends. */
export function userAvailability(
  now: () => number = () => performance.now(),
): () => Promise<CardAvailability> {
  let tried: { readonly at: number; readonly found: Promise<CardAvailability> } | undefined;
  return async () => {
    if (tried !== undefined && now() - tried.at >= FAILED_MS && (await tried.found).kind === "none") {
      tried = undefined;
    }
    tried ??= { at: now(), found: look() };
    return await tried.found;
  };
}

async function look(): Promise<CardAvailability> {
  const missing = PROGRAMS.filter(([program]) => findProgram(program) === undefined);
  if (missing.length > 0) {
    const packages = new Set(missing.map(([, apt]) => apt));
    return noCards(
      `not installed: ${missing.map(([program]) => program).join(", ")}`,
      `apt-get install ${[...packages].join(" ")}`,
    );
  }
  return forbidden() ?? closedTun() ?? (await tryOut());
}

function forbidden(): CardAvailability | undefined {
  const found = FORBIDDING.find(
    ([setting, value]) =>
      existsSync(`/proc/sys/${setting}`) && readFileSync(`/proc/sys/${setting}`, "latin1").trim() === value,
  );
  return found === undefined ? undefined : noCards(found[2], CURES[found[0]] ?? "");
}

function closedTun(): CardAvailability | undefined {
  if (!existsSync(TUN)) return noCards(`${TUN} is not there`, "as root: modprobe tun");
  try {
    accessSync(TUN, constants.R_OK | constants.W_OK);
    return undefined;
  } catch {
    return noCards(`this user may not open ${TUN}`, `as root: chmod 666 ${TUN}`);
  }
}

async function tryOut(): Promise<CardAvailability> {
  const [ip = "ip", nft = "nft"] = ["ip", "nft"].map((name) => findProgram(name));
  try {
    await runProgram(["unshare", ...UNSHARE, "sh", "-c", TRY_OUT, "sh", ip, nft], {
      stdin: Buffer.from(createRuleset({ host4: [], host6: [], pool6: undefined })),
      stdout: "ignore",
    });
    return { kind: "namespace", owner: "user" };
  } catch (error) {
    const { details, message } = BangerError.from(error);
    const words = details["stderrTail"];
    return noCards(
      `this user cannot make taps and rules here: ${typeof words === "string" && words !== "" ? words : message}`,
      "allow user namespaces with a network of their own, or run banger as root",
    );
  }
}
