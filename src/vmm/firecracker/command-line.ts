/** Firecracker's argument list, and the kernel command line of its guests: pure functions. */
import type { Machine } from "../../model/machine.ts";
import { processMarker } from "../port.ts";
import type { DiskSerial } from "./devices.ts";
import type { Places } from "./places.ts";
import type { Transport } from "./platform.ts";

/** The vsock port on which the guest's agent listens. */
export const AGENT_PORT = 1024;

/** The arguments after the program's name; the jailer adds `--id` by itself. */
export function firecrackerArguments(
  id: string,
  input: { readonly places: Places; readonly transport: Transport; readonly jailed: boolean },
): readonly string[] {
  const { places, transport, jailed } = input;
  return [
    jailed ? [] : ["--id", processMarker(id)],
    ["--api-sock", places.api.inside],
    // A guest can make it warn as often as it likes.
    ["--log-path", places.log.inside, "--level", "Error", "--show-level"],
    ["--metrics-path", places.metrics.inside],
    transport === "pci" ? ["--enable-pci"] : [],
  ].flat();
}

/** `serials`: how the guest recognises each disk. */
export function kernelCommandLine(
  machine: Machine,
  input: { readonly transport: Transport; readonly serials: readonly DiskSerial[] },
): string {
  return [
    "console=ttyS0",
    // The keyboard controller's reset line is Firecracker's only way out for a guest; panic=-1 takes it at once.
    "reboot=k",
    "panic=-1",
    // There is a keyboard controller and nothing behind it; looking for more takes the guest a third of a second.
    "i8042.noaux",
    "i8042.nomux",
    "i8042.dumbkbd",
    ...(input.transport === "mmio" ? ["pci=off"] : []),
    `banger.channel=vsock:${AGENT_PORT}`,
    ...input.serials.map(({ id, serial }) => `banger.disk=${id}:${serial}`),
    ...machine.cmdline,
  ].join(" ");
}
