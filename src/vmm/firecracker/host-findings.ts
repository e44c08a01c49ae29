/** What this host's Firecracker can do: its version, whether KVM works with it, and how it can be fenced in. */
import { realpathSync } from "node:fs";
import { basename } from "node:path";
import { findProgram, runProgram } from "../../lib/run-program.ts";
import { BangerError } from "../../model/errors.ts";
import { judgeKvm, type KvmVerdict } from "../kvm-verdict.ts";
import { hostKey } from "../program-identity.ts";
import { findVersion } from "../program-version.ts";
import type { VerdictCache } from "../verdict-cache.ts";
import { runProbeGuest } from "./kvm-probe.ts";
import { featuresOf, isAtLeast, MIN_VERSION, TOO_NEW_VERSION, type VersionFeatures } from "./platform.ts";

export const INSTALL_CURE =
  "download a release from https://github.com/firecracker-microvm/firecracker/releases and put firecracker and jailer on PATH";

/** `auto`: a jail when we are root and there is a jailer. */
export type JailerWish = "auto" | "on" | "off";

/** How the process is kept apart from the host beyond its own seccomp filters, or why it is not. */
export type Isolation =
  | { readonly kind: "jail"; readonly jailer: string }
  | { readonly kind: "user-namespace"; readonly unshare: string }
  | { readonly kind: "none"; readonly reason: string; readonly cure: string };

export interface ProgramFindings {
  /** Absolute. */
  readonly program: string;
  readonly version: string;
  readonly features: VersionFeatures;
}

/** Errors: `unavailable` when there is no Firecracker of a version that banger drives. */
export async function findFirecracker(name: string, cache: VerdictCache): Promise<ProgramFindings> {
  const found = findProgram(name);
  if (found === undefined) {
    throw new BangerError("unavailable", `the program ${name} is not installed`, {
      cure: INSTALL_CURE,
      details: { program: name },
    });
  }
  // The jailer names the jail after the file that a symbolic link leads to.
  const program = realpathSync(found);
  const version = await versionOf(program, { cache, name: "Firecracker" });
  if (!isAtLeast(version, MIN_VERSION) || isAtLeast(version, TOO_NEW_VERSION)) {
    throw new BangerError(
      "unavailable",
      `${program} is version ${version}; banger needs ${MIN_VERSION} or newer, and older than ${TOO_NEW_VERSION}`,
      { cure: INSTALL_CURE, details: { version, minVersion: MIN_VERSION, tooNewVersion: TOO_NEW_VERSION } },
    );
  }
  return { program, version, features: featuresOf(version) };
}

/** The verdict on KVM by a guest that this Firecracker ran. */
export async function judgeFirecrackerKvm(program: string, cache: VerdictCache): Promise<KvmVerdict> {
  return await judgeKvm({ program, cache, tryGuest: () => runProbeGuest({ program }) });
}

export interface IsolationQuestion {
  readonly wish: JailerWish;
  /** The jailer's name or path. */
  readonly jailer: string;
  readonly findings: ProgramFindings;
  readonly cache: VerdictCache;
  readonly isRoot: boolean;
}

/** Errors: `unavailable` (a jail was asked for and cannot be had, with the cure). */
export async function findIsolation(question: IsolationQuestion): Promise<Isolation> {
  const { wish, cache, isRoot } = question;
  if (wish === "on" || (wish === "auto" && isRoot)) {
    if (!isRoot) {
      throw new BangerError("unavailable", "the jailer needs root, and the daemon is an ordinary user", {
        cure: 'set vmm.firecracker.jailer to "auto", or run the daemon as root',
      });
    }
    const jailer = findProgram(question.jailer);
    if (jailer !== undefined) {
      await demandSameVersion(jailer, question);
      return { kind: "jail", jailer };
    }
    const reason = `the program ${question.jailer} is not installed`;
    if (wish === "on") throw new BangerError("unavailable", reason, { cure: INSTALL_CURE });
    return { kind: "none", reason: `${reason}, so Firecracker runs as root`, cure: INSTALL_CURE };
  }
  if (isRoot) return { kind: "none", reason: 'vmm.firecracker.jailer is "off"', cure: 'set it to "auto"' };
  return await findUserNamespace(cache);
}

/** A jailer is meant for the Firecracker of its own version only (Firecracker's docs/jailer.md). */
async function demandSameVersion(
  jailer: string,
  { findings, cache }: Pick<IsolationQuestion, "findings" | "cache">,
): Promise<void> {
  const version = await versionOf(jailer, { cache, name: "Jailer" });
  if (version === findings.version) return;
  throw new BangerError(
    "unavailable",
    `${jailer} is version ${version}, but ${findings.program} is ${findings.version}: they have to be the same`,
    { cure: INSTALL_CURE },
  );
}

async function findUserNamespace(cache: VerdictCache): Promise<Isolation> {
  const unshare = findProgram("unshare");
  if (unshare === undefined) {
    return {
      kind: "none",
      reason: "the program unshare is not installed",
      cure: "apt-get install util-linux",
    };
  }
  const key = `userns|${hostKey(unshare)}`;
  const known = cache.get(key);
  const works = typeof known === "boolean" ? known : await canUnshare(unshare);
  if (works !== known) cache.set(key, works);
  if (works) return { kind: "user-namespace", unshare };
  return {
    kind: "none",
    reason: "this user may not make user namespaces",
    cure: "sysctl kernel.unprivileged_userns_clone=1, and on Ubuntu kernel.apparmor_restrict_unprivileged_userns=0",
  };
}

async function canUnshare(unshare: string): Promise<boolean> {
  try {
    await runProgram([unshare, ...UNSHARE_ARGS, "--", "true"], { stdout: "ignore" });
    return true;
  } catch (error) {
    // What was asked is whether it works; `doctor` says that it does not.
    if (BangerError.from(error).code === "internal") return false;
    throw error;
  }
}

/** What an unjailed Firecracker of an ordinary user is cut off from; it needs the host's files and its network cards. */
export const UNSHARE_ARGS: readonly string[] = ["--user", "--ipc", "--uts"];

async function versionOf(
  program: string,
  options: { readonly cache: VerdictCache; readonly name: string },
): Promise<string> {
  return await findVersion({
    program,
    ...options,
    pattern: new RegExp(`^${options.name} v(\\d+\\.\\d+\\.\\d+(?:-[0-9A-Za-z.]+)?)`),
    cure: `${INSTALL_CURE} (what is there is ${basename(program)})`,
  });
}
