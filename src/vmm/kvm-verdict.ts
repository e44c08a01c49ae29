/**
 * Whether KVM really works here. A device node proves nothing: the only proof is a guest that ran. Every driver brings
 * its own way of running one; what is common to them is here.
 */
import { constants } from "node:fs";
import { open } from "node:fs/promises";
import { hostKey } from "./program-identity.ts";
import type { VerdictCache } from "./verdict-cache.ts";

/** Every verdict but `works` says why in one sentence, and what to do. */
export type KvmVerdict =
  | { readonly kind: "works" }
  | {
      readonly kind: "absent" | "no-permission" | "cannot-run";
      readonly reason: string;
      readonly cure: string;
    };

/** How the trial guest fared. */
export type KvmTrial =
  | { readonly works: true }
  /** `words`: what the hypervisor said. `timedOut`: the deadline ended it, so a busy host may be to blame. */
  | { readonly works: false; readonly timedOut: boolean; readonly words: string };

export interface KvmQuestion {
  /** The hypervisor program, absolute; it exists. */
  readonly program: string;
  readonly cache: VerdictCache;
  /** Runs the trial guest under a deadline. */
  readonly tryGuest: () => Promise<KvmTrial>;
  /** Default /dev/kvm. */
  readonly device?: string;
  readonly nowMs?: () => number;
}

/** A guest that ran out of time is given another chance after this; other verdicts last as long as the boot. */
const TIMEOUT_VERDICT_MS: number = 60 * 60 * 1000;

/** Asks, or answers from the cache. The device itself is looked at every time. */
export async function judgeKvm(question: KvmQuestion): Promise<KvmVerdict> {
  const device = question.device ?? "/dev/kvm";
  const access = await openDevice(device);
  if (access !== undefined) return access;

  const now = question.nowMs ?? Date.now;
  const key = `kvm|${hostKey(question.program)}`;
  const cached = parseRemembered(question.cache.get(key));
  if (cached !== undefined && (cached.expiresMs === undefined || now() < cached.expiresMs)) {
    return verdictOf(cached.trial);
  }
  const trial = await question.tryGuest();
  const expires = !trial.works && trial.timedOut ? { expiresMs: now() + TIMEOUT_VERDICT_MS } : {};
  question.cache.set(key, { trial, ...expires });
  return verdictOf(trial);
}

async function openDevice(device: string): Promise<KvmVerdict | undefined> {
  try {
    const file = await open(device, constants.O_RDWR);
    await file.close();
    return undefined;
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? String(error);
    if (code === "EACCES" || code === "EPERM") {
      return {
        kind: "no-permission",
        reason: `${device} exists and this user may not open it`,
        cure: "sudo usermod -aG kvm $USER, then log in again",
      };
    }
    return {
      kind: "absent",
      reason: code === "ENOENT" ? `there is no ${device}` : `${device} cannot be opened (${code})`,
      cure: "switch virtualisation on in the firmware, or nested virtualisation on for this virtual machine; then modprobe kvm_intel or kvm_amd",
    };
  }
}

function verdictOf(trial: KvmTrial): KvmVerdict {
  if (trial.works) return { kind: "works" };
  const how = trial.timedOut ? "a test guest did not finish in time" : "a test guest failed";
  return {
    kind: "cannot-run",
    reason: `KVM is present but cannot run 64-bit guests here: ${how}${trial.words === "" ? "" : ` (${trial.words})`}`,
    cure: "run banger on hardware or in a virtual machine with nested virtualisation; until then it emulates",
  };
}

interface Remembered {
  readonly trial: KvmTrial;
  readonly expiresMs: number | undefined;
}

function parseRemembered(value: unknown): Remembered | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { trial, expiresMs } = value as { trial?: unknown; expiresMs?: unknown };
  if (typeof trial !== "object" || trial === null) return undefined;
  const { works, timedOut, words } = trial as { works?: unknown; timedOut?: unknown; words?: unknown };
  const expires = typeof expiresMs === "number" ? expiresMs : undefined;
  if (works === true) return { trial: { works }, expiresMs: expires };
  if (works !== false || typeof timedOut !== "boolean" || typeof words !== "string") return undefined;
  return { trial: { works, timedOut, words }, expiresMs: expires };
}
