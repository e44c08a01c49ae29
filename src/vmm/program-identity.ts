/** What a finding about this host depends on: the boot, the hypervisor program, and the CPU. */
import { createHash } from "node:crypto";
import { readFileSync, realpathSync, statSync } from "node:fs";
import { readBootId } from "../lib/process-identity.ts";

/** A key that changes when the host is booted, the program replaced, or the CPU another one (after a migration). */
export function hostKey(program: string): string {
  return [readBootId(), programKey(program), readCpuModel()].join("|");
}

/** A key that changes when the program is replaced. The program exists. */
export function programKey(program: string): string {
  const path = realpathSync(program);
  const { size, mtimeNs } = statSync(path, { bigint: true });
  return [path, size, mtimeNs].join("|");
}

/** The CPU's name as /proc/cpuinfo has it (proc(5)); empty on machines that do not say. */
export function readCpuModel(): string {
  return /^model name\s*:\s*(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
}

/** A digest of what the CPU can do, as /proc/cpuinfo lists it: what a guest sees that gets the host's own CPU. */
export function cpuFeatures(): string {
  const flags = /^(?:flags|Features)\s*:\s*(.*)$/m.exec(readFileSync("/proc/cpuinfo", "utf8"))?.[1] ?? "";
  return createHash("sha256").update(flags).digest("hex").slice(0, 16);
}
