/** What the agent is told once, and what it says of it. */
import type { GuestMount } from "../model/machine.ts";
import type { StepTiming } from "../model/vm.ts";
import type { GuestCard } from "./snapshot.ts";

/** What the agent is told once, before anything runs. Field for field the `configure` request of the protocol. */
export interface GuestConfig {
  readonly hostname: string;
  readonly init: "agent" | "systemd";
  /** Of `systemd`: the init and its arguments; absent: where inits usually are. */
  readonly initArgv?: readonly string[];
  /** 32 hexadecimal digits for /etc/machine-id; without it the image's stays. */
  readonly machineId?: string;
  readonly rootfs: { readonly disk: string; readonly type: "squashfs" };
  readonly writable: { readonly disk: string; readonly type: "ext4" };
  readonly env: Readonly<Record<string, string>>;
  readonly hosts: readonly { readonly address: string; readonly names: readonly string[] }[];
  /** Absolute paths that are made where they are missing. */
  readonly directories?: readonly string[];
  readonly mounts: readonly GuestMount[];
  readonly network?: GuestCard | undefined;
  readonly nameservers?: readonly string[] | undefined;
  readonly search?: readonly string[] | undefined;
  readonly poweroff: "acpi" | "reset";
}

/** The steps of its configuration, at most 32; those that make no sense are left out. */
export function parseSteps(value: unknown): StepTiming[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, 32).flatMap((step: unknown) => {
    const { name, ms } = (typeof step === "object" && step !== null ? step : {}) as {
      name?: unknown;
      ms?: unknown;
    };
    return typeof name === "string" && /^[a-z0-9 _-]{1,32}$/.test(name) && typeof ms === "number"
      ? [{ name, ms }]
      : [];
  });
}
