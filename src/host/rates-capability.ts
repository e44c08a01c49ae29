/** The configured rates on every disk and card of a VM, whoever added them: comes after the capabilities that add some. */
import type { Capability } from "../model/capability.ts";
import type { Rate } from "../model/machine.ts";
import type { VmRecord } from "../model/vm.ts";

export interface RatesOptions {
  /** Of each disk; undefined: no limit. */
  readonly disk: Rate | undefined;
  /** Of each card, each way; undefined: no limit. */
  readonly nic: Pick<Rate, "bytesPerSecond"> | undefined;
  /** Whether the driver of a VM that starts holds cards to a rate. */
  readonly holdsNics: (vm: VmRecord) => Promise<boolean>;
  /** Hears of rates that should have held and do not. A start never fails for them. */
  readonly onProblem: (id: string, problem: string) => void;
}

export function createRatesCapability({ disk, nic, holdsNics, onProblem }: RatesOptions): Capability {
  return {
    name: "rates",
    async prepare({ vm }) {
      if (nic !== undefined && !(await holdsNics(vm))) {
        onProblem(vm.id, "limits.network_rate: the driver does not limit network cards");
      }
    },
    contribute(_context, draft) {
      if (disk !== undefined) replaceAll(draft.disks, (one) => ({ ...one, rate: disk }));
      if (nic !== undefined) replaceAll(draft.nics, (one) => ({ ...one, rate: nic }));
    },
  };
}

function replaceAll<T>(items: T[], change: (item: T) => T): void {
  items.splice(0, items.length, ...items.map(change));
}
