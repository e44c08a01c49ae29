/** What is saved of a VM as it is: the disk alone, or the machine that runs with it; and why that cannot be. */
import { existsSync } from "node:fs";
import { BangerError } from "../model/errors.ts";
import { demandNoVolumes } from "../model/vm.ts";
import type { DriverReport } from "../vmm/port.ts";
import { captureDisk, captureGuest } from "./capture.ts";
import type { HeldGuest } from "./snapshot-vms.ts";

export interface CaptureVmOptions {
  /** Of a running VM, too. */
  readonly diskOnly?: boolean | undefined;
  /** What a driver, by name, offers here now. Errors: `unavailable`. */
  readonly report: (driver: string | undefined) => Promise<Extract<DriverReport, { available: true }>>;
  readonly onStep: (step: string) => void;
  /** As that of `captureGuest`; not called when only the disk is saved. */
  readonly captured?: (() => void) | undefined;
}

/**
 * Writes it into `dir`, which exists, while the VM is held. Returns for how many milliseconds the guest stood still. Errors:
 * `failed_precondition` (no disk yet; volumes), `unsupported`, those of `captureDisk` and `captureGuest`.
 */
export async function captureVm(
  { running, agent, diskPath, vm }: HeldGuest,
  dir: string,
  { diskOnly = false, report, onStep, captured }: CaptureVmOptions,
): Promise<number> {
  if (!existsSync(diskPath)) {
    throw new BangerError("failed_precondition", `${vm.name} has no disk yet: it was never started`, {
      cure: `start it with: banger start ${vm.name}`,
    });
  }
  if (running === undefined || diskOnly) {
    onStep("disk");
    return await captureDisk(agent, diskPath, dir);
  }
  demandNoVolumes(vm);
  const { driver, features } = await report(vm.driver);
  if (!features.snapshot) {
    throw new BangerError("unsupported", `${driver} cannot save a machine on this host`, {
      cure: `save the disk alone with: banger snapshot create ${vm.name} --disk-only`,
    });
  }
  return await captureGuest({ running, agent, diskPath, goesOn: true, onStep, captured }, dir);
}
