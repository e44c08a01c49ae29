/** What this host's QEMU can do: its version, and the fastest accelerator that works. Remembered between runs. */
import { BangerError } from "../../model/errors.ts";
import { judgeKvm, type KvmVerdict } from "../kvm-verdict.ts";
import { findVersion } from "../program-version.ts";
import type { VerdictCache } from "../verdict-cache.ts";
import { runProbeGuest } from "./kvm-probe.ts";
import type { QemuAccelerator } from "./platform.ts";

/** The oldest that banger is tested with; `i8042=off` and JSON devices need about as much. */
const MIN_VERSION = "7.2.0";

export interface HostFindings {
  /** Absolute. */
  readonly program: string;
  readonly version: string;
  readonly accelerator: QemuAccelerator;
  /** Undefined when the accelerator was given and KVM was not asked about. */
  readonly kvm: KvmVerdict | undefined;
}

export interface InspectInput {
  /** Absolute; it exists. */
  readonly program: string;
  readonly cache: VerdictCache;
  readonly accelerator: QemuAccelerator | undefined;
}

/** Errors: `unavailable` when the program is not a QEMU that is new enough. */
export async function inspectHost(input: InspectInput): Promise<HostFindings> {
  const { program, cache } = input;
  const version = await findVersion({
    program,
    cache,
    name: "QEMU",
    pattern: /^QEMU emulator version (\d+\.\d+\.\d+)/,
    cure: "apt-get install --reinstall qemu-system-x86",
  });
  if (Bun.semver.order(version, MIN_VERSION) < 0) throw tooOld(program, version);
  if (input.accelerator !== undefined) {
    return { program, version, accelerator: input.accelerator, kvm: undefined };
  }
  const kvm = await judgeKvm({
    program,
    cache,
    tryGuest: () => runProbeGuest({ program, accelerator: "kvm" }),
  });
  return { program, version, accelerator: kvm.kind === "works" ? "kvm" : "tcg", kvm };
}

function tooOld(program: string, version: string): BangerError {
  return new BangerError(
    "unavailable",
    `${program} is version ${version}; banger needs ${MIN_VERSION} or newer`,
    {
      cure: "install qemu-system-x86 from a newer release of the distribution",
      details: { version, minVersion: MIN_VERSION },
    },
  );
}
