/** The diagnosis of this host: a list of checks, none of which writes anything or stops the others. */
import { accessSync, constants, statSync } from "node:fs";
import { findProgram } from "../lib/run-program.ts";
import type { DoctorCheck, DoctorRow } from "../model/doctor.ts";
import { BangerError } from "../model/errors.ts";
import type { Layout } from "./layout.ts";

/** Runs every check; one that throws becomes a failed row. */
export async function diagnose(checks: readonly DoctorCheck[]): Promise<{
  rows: DoctorRow[];
  capabilities: Record<string, boolean | string>;
}> {
  const found = await Promise.all(checks.map((check) => check().catch(failedCheck)));
  return {
    rows: found.flatMap((part) => part.rows),
    capabilities: Object.assign({}, ...found.map((part) => part.capabilities ?? {})) as Record<
      string,
      boolean | string
    >,
  };
}

/** Host programs, each with the Debian package that brings it and what is lost without it. */
const PROGRAMS: readonly { program: string; apt: string; purpose: string; required: boolean }[] = [
  { program: "mkfs.ext4", apt: "e2fsprogs", purpose: "makes the disks of VMs", required: true },
  { program: "mmdebstrap", apt: "mmdebstrap", purpose: "builds the default image", required: false },
  { program: "sqfstar", apt: "squashfs-tools", purpose: "writes images", required: false },
  {
    program: "mksquashfs",
    apt: "squashfs-tools",
    purpose: "copies directories that VMs mount",
    required: false,
  },
  {
    program: "sqfs2tar",
    apt: "squashfs-tools-ng",
    purpose: "exports images, and commits VMs",
    required: false,
  },
  {
    program: "ssh",
    apt: "openssh-client",
    purpose: "enters VMs by banger ssh, for editors and rsync",
    required: false,
  },
  { program: "git", apt: "git", purpose: "reads the work trees that VMs get a copy of", required: false },
  { program: "apt-get", apt: "apt", purpose: "fetches the kernel", required: false },
  { program: "dpkg-deb", apt: "dpkg", purpose: "unpacks the kernel", required: false },
  { program: "lz4", apt: "lz4", purpose: "unpacks Debian's kernel", required: false },
  { program: "xz", apt: "xz-utils", purpose: "unpacks older kernels and archives", required: false },
];

export const checkPrograms: DoctorCheck = async () => ({
  rows: PROGRAMS.map(({ program, apt, purpose, required }): DoctorRow => {
    if (findProgram(program) !== undefined)
      return { check: program, verdict: "pass", message: `found; it ${purpose}` };
    return {
      check: program,
      verdict: required ? "fail" : "warn",
      message: `not found; it ${purpose}`,
      cure: `apt-get install ${apt}`,
    };
  }),
});

/** The directories of the layout: there, writable, the user's alone. */
export function checkDirectories(layout: Layout): DoctorCheck {
  return async () => ({
    rows: [layout.stateDir, layout.cacheDir, layout.runtimeDir].map((dir): DoctorRow => {
      try {
        accessSync(dir, constants.W_OK);
        const open = (statSync(dir).mode & 0o077) !== 0;
        if (!open) return { check: dir, verdict: "pass", message: "writable, and yours alone" };
        return { check: dir, verdict: "warn", message: "others may look into it", cure: `chmod 700 ${dir}` };
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        if (code === "ENOENT")
          return { check: dir, verdict: "pass", message: "not there yet; made when needed" };
        return {
          check: dir,
          verdict: "fail",
          message: `not writable (${code ?? "unknown"})`,
          cure: `chown $(id -un) ${dir}`,
        };
      }
    }),
  });
}

function failedCheck(thrown: unknown): Awaited<ReturnType<DoctorCheck>> {
  const error = BangerError.from(thrown);
  return { rows: [{ check: "doctor", verdict: "fail", message: error.message, cure: error.cure }] };
}
