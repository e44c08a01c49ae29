/** The flags that say how large a VM is, shared by run, create and set. */
import { BangerError } from "../../model/errors.ts";
import { formatBytes, parseSizeMib, parseWholeNumber } from "../../model/quantities.ts";
import { SPEC_LIMITS } from "../../model/spec.ts";

export interface SizeFlags {
  readonly vcpus?: string;
  readonly memory?: string;
  readonly disk?: string;
}

export interface Size {
  readonly vcpus: number | undefined;
  readonly memoryMib: number | undefined;
  readonly diskMib: number | undefined;
}

/** Errors: `invalid_argument`, naming the flag and what it may be. */
export function parseSize(flags: SizeFlags): Size {
  const { vcpus, memoryMib, diskMib } = SPEC_LIMITS;
  return {
    vcpus: flags.vcpus === undefined ? undefined : parseWholeNumber(flags.vcpus, "--vcpus", vcpus),
    memoryMib: sizeInRange(flags.memory, "--memory", memoryMib),
    diskMib: sizeInRange(flags.disk, "--disk", diskMib),
  };
}

function sizeInRange(
  text: string | undefined,
  field: string,
  range: { readonly min: number; readonly max: number },
): number | undefined {
  if (text === undefined) return undefined;
  const mib = parseSizeMib(text, field);
  if (mib >= range.min && mib <= range.max) return mib;
  const [size, min, max] = [mib, range.min, range.max].map((value) => formatBytes(value * 2 ** 20));
  throw new BangerError("invalid_argument", `${field} ${size} is not from ${min} to ${max}`, {
    cure: "a number without a unit is in MiB",
    details: { field },
  });
}
