/** Which driver runs new VMs here: the first that says it can. Asked once, and again after a no. */
import type { DoctorCheck, DoctorRow } from "../model/doctor.ts";
import { BangerError } from "../model/errors.ts";
import { quote } from "../model/names.ts";
import type { Driver, DriverReport } from "../vmm/port.ts";
import type { ReadyDriver } from "../vms/context.ts";

export class DriverChoice {
  readonly #drivers: readonly Driver[];
  /** By the name that was asked for; undefined: the best. */
  readonly #chosen = new Map<string | undefined, Promise<ReadyDriver>>();

  constructor(drivers: readonly Driver[]) {
    this.#drivers = drivers;
  }

  byName(name: string): Driver | undefined {
    return this.#drivers.find((driver) => driver.name === name);
  }

  /** Errors: `invalid_argument` when there is no driver of this name, whether or not it can run here. */
  demand(name: string): Driver {
    const driver = this.byName(name);
    if (driver !== undefined) return driver;
    const known = this.#drivers.map((one) => one.name);
    throw new BangerError("invalid_argument", `there is no driver ${quote(name)}`, {
      cure: `choose one of: ${known.join(", ")}`,
      details: { field: "vmm", known },
    });
  }

  /**
   * The driver of this name, else the first that can run here. Errors: `unavailable`, with each asked driver's reason and the
   * first cure; `invalid_argument`.
   */
  async choose(name?: string): Promise<ReadyDriver> {
    const asked = name === undefined ? this.#drivers : [this.demand(name)];
    const choice = this.#chosen.get(name) ?? ask(asked);
    this.#chosen.set(name, choice);
    try {
      return await choice;
    } catch (error) {
      // What is missing may be installed meanwhile.
      this.#chosen.delete(name);
      throw error;
    }
  }

  /** Whether the driver of new VMs holds network cards to a rate; where none can run, none does. */
  async holdsNicRates(): Promise<boolean> {
    const reports = await Promise.all(this.#drivers.map((driver) => driver.probe()));
    return reports.find((report) => report.available)?.features.nicRate ?? false;
  }

  readonly check: DoctorCheck = async () => {
    const reports = await Promise.all(this.#drivers.map((driver) => driver.probe()));
    const best = reports.find((report) => report.available);
    return {
      rows: reports.flatMap((report) => rowsOf(report, best !== undefined)),
      capabilities: {
        driver: best?.driver ?? false,
        accelerator: best?.accelerator ?? false,
        pause: best?.features.pause ?? false,
        snapshot: best?.features.snapshot ?? false,
      },
    };
  };
}

async function ask(drivers: readonly Driver[]): Promise<ReadyDriver> {
  const refusals: Extract<DriverReport, { available: false }>[] = [];
  for (const driver of drivers) {
    const report = await driver.probe();
    if (report.available) return { driver, report };
    refusals.push(report);
  }
  const [first, ...others] = refusals;
  const message =
    first !== undefined && others.length === 0
      ? `${first.driver} cannot run here: ${first.reason}`
      : `no hypervisor can run here: ${refusals.map((no) => `${no.driver}: ${no.reason}`).join("; ")}`;
  throw new BangerError("unavailable", message, { cure: first?.cure ?? "see: banger doctor" });
}

/** A driver that cannot run is a failure only where no other can. */
function rowsOf(report: DriverReport, anyRuns: boolean): DoctorRow[] {
  if (!report.available) {
    const verdict = anyRuns ? "warn" : "fail";
    return [{ check: report.driver, verdict, message: report.reason, cure: report.cure }];
  }
  const how = `${report.version}, machine ${report.machineType}, accelerator ${report.accelerator}`;
  const notes = report.notes.map(
    (note): DoctorRow => ({ check: report.driver, verdict: "warn", message: note }),
  );
  return [{ check: report.driver, verdict: "pass", message: how }, ...notes];
}
