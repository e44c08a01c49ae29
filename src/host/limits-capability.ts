/** The limits of a VM's hypervisor: a group of its own that the kernel holds to them. What this host cannot limit is not limited. */
import type { Capability } from "../model/capability.ts";
import { limitsOf } from "../model/limits.ts";
import type { VmRecord } from "../model/vm.ts";
import type { Cgroups } from "./cgroups.ts";

export interface LimitsOptions {
  readonly cgroups: Cgroups;
  /** Whether the machine of a VM that starts will be emulated: that takes more memory. */
  readonly emulated: (vm: VmRecord) => Promise<boolean>;
  /** Hears of limits that should have held and do not. A start never fails for them. */
  readonly onProblem: (id: string, problem: string) => void;
}

export function createLimitsCapability({ cgroups, emulated, onProblem }: LimitsOptions): Capability {
  return {
    name: "limits",
    async prepare({ vm }, undo) {
      // A group from before a crash: the VM is stopped, or this would not run.
      await cgroups.removeGroup(vm.id);
      undo.defer(() => cgroups.removeGroup(vm.id));
      const limits = limitsOf(vm.spec, { emulated: await emulated(vm) });
      for (const problem of cgroups.createGroup(vm.id, limits)) onProblem(vm.id, problem);
    },
    spawned(vm, { pid }) {
      for (const problem of cgroups.addProcess(vm.id, pid)) onProblem(vm.id, problem);
    },
    async cleanup({ id }) {
      await cgroups.removeGroup(id);
    },
  };
}
