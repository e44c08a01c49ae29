/** Which driver runs new VMs here: the first that says it can. Asked once, and again after a no. */
import type { DoctorCheck, DoctorRow } from "../model/doctor.ts";
import { BangerError } from "../model/errors.ts";
import type { Driver, DriverReport } from "../vmm/port.ts";
import type { ReadyDriver } from "../vms/context.ts";

export class DriverChoice {
  readonly #drivers: readonly Driver[];
  #chosen: Promise<ReadyDriver> | undefined;

  constructor(drivers: readonly Driver[]) {
    this.#drivers = drivers;
  }

  byName(name: string): Driver | undefined {
    return this.#drivers.find((driver) => driver.name === name);
  }

  /** Errors: `unavailable`, with each driver's reason and the first cure. */
  async choose(): Promise<ReadyDriver> {
    this.#chosen ??= this.#ask();
    try {
      return await this.#chosen;
    } catch (error) {
      // What is missing may be installed meanwhile.
      this.#chosen = undefined;
      throw error;
    }
  }

  readonly check: DoctorCheck = async () => {
    const reports = await Promise.all(this.#drivers.map((driver) => driver.probe()));
    const best = reports.find((report) => report.available);
    return {
      rows: reports.flatMap(rowsOf),
      capabilities: {
        driver: best?.driver ?? false,
        accelerator: best?.accelerator ?? false,
        pause: best?.features.pause ?? false,
        snapshot: best?.features.snapshot ?? false,
      },
    };
  };

  async #ask(): Promise<ReadyDriver> {
    const refusals: Extract<DriverReport, { available: false }>[] = [];
    for (const driver of this.#drivers) {
      const report = await driver.probe();
      if (report.available) return { driver, report };
      refusals.push(report);
    }
    throw new BangerError(
      "unavailable",
      `no hypervisor can run here: ${refusals.map((no) => `${no.driver}: ${no.reason}`).join("; ")}`,
      { cure: refusals[0]?.cure ?? "see: banger doctor" },
    );
  }
}

function rowsOf(report: DriverReport): DoctorRow[] {
  if (!report.available) {
    return [{ check: report.driver, verdict: "fail", message: report.reason, cure: report.cure }];
  }
  const how = `${report.version}, machine ${report.machineType}, accelerator ${report.accelerator}`;
  const notes = report.notes.map(
    (note): DoctorRow => ({ check: report.driver, verdict: "warn", message: note }),
  );
  return [{ check: report.driver, verdict: "pass", message: how }, ...notes];
}
