/** How a template is made of a guest that has just booted: what the first command would find cold is used once, and the guest is saved. */
import { randomBytes } from "node:crypto";
import type { Agent } from "../guest/agent.ts";
import { withDeadline } from "../lib/deadline.ts";
import type { Running } from "../vmm/port.ts";
import { captureGuest } from "./capture.ts";

/** A guest that serves as a template and nothing else. */
export interface TemplateGuest {
  readonly running: Running;
  readonly agent: Agent;
  readonly diskPath: string;
}

/** The shell, the dynamic linker, and the resolver with its modules. An image need not have any of them. */
const WARM_UP: readonly (readonly string[])[] = [
  ["sh", "-c", "getent hosts localhost; getent passwd root; ls -l / >/dev/null; cat /proc/uptime"],
  ["true"],
];
/** All of a warm-up command, under emulation on a busy host. */
const WARM_UP_MS = 60_000;

/** Saves the guest into `dir`; it does not go on. Errors: `timeout`, and those of `captureGuest`. */
export async function saveTemplate(guest: TemplateGuest, dir: string, signal: AbortSignal): Promise<void> {
  for (const argv of WARM_UP) {
    await withDeadline(runOnce(guest.agent, argv), { ms: WARM_UP_MS, signal, what: "warming a template up" });
  }
  await captureGuest({ ...guest, goesOn: false, onStep: () => undefined }, dir);
}

async function runOnce(agent: Agent, argv: readonly string[]): Promise<void> {
  const spec = { argv, env: {}, cwd: undefined, user: undefined, tty: undefined, timeoutMs: 0 };
  const stream = agent.exec(`warm-${randomBytes(4).toString("hex")}`, spec, {});
  const ended = stream.result;
  // What an image does not have need not be warm.
  await ended.catch(() => undefined);
}
