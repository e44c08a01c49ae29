/** How long a guest may take to power off when nobody says. */
import { chooseInit, type Init } from "../model/init.ts";
import type { ImageConfig } from "../model/spec.ts";

const AGENT_MS = 10_000;
/** An init stops its services first, and systemd gives each of them as long (systemd-system.conf(5), DefaultTimeoutStopSec=). */
const INIT_MS = 90_000;

/** Milliseconds, by who is process 1 in the guest: what was asked for, else what its image says. */
export function stopTimeMs(asked: Init | undefined, image: ImageConfig): number {
  return chooseInit(asked, image).init === "agent" ? AGENT_MS : INIT_MS;
}
