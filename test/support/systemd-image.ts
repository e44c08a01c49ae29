/** A tar of Debian with systemd and an SSH server, made once from Debian's archive and kept beside the other prepared files. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { join } from "node:path";
import { startProgram } from "../../src/lib/run-program.ts";

const DIR = join(import.meta.dir, "../../node_modules/.cache/banger-test-systemd");
const PACKAGES = ["systemd", "systemd-sysv", "dbus", "openssh-server"];
/** What nobody reads in a test. */
const LEFT_OUT = ["doc", "man", "locale"].map((name) => `--dpkgopt=path-exclude=/usr/share/${name}/*`);
/** mmdebstrap copies these from the host. */
const FORGET_HOST = 'rm -f "$1/etc/hostname" "$1/etc/resolv.conf"';

let prepared: Promise<string> | undefined;

/** Its path. The file is the cache's. */
export async function systemdTar(): Promise<string> {
  prepared ??= prepare();
  return await prepared;
}

async function prepare(): Promise<string> {
  const path = join(DIR, "systemd.tar");
  if (existsSync(path)) return path;
  mkdirSync(DIR, { recursive: true });
  const aside = join(DIR, `${process.pid}.tar`);
  try {
    const include = `--include=${PACKAGES.join(",")}`;
    const hook = `--customize-hook=${FORGET_HOST}`;
    const options = ["--variant=minbase", include, ...LEFT_OUT, hook, "--format=tar"];
    await startProgram(["mmdebstrap", ...options, "bookworm", aside]).done;
    renameSync(aside, path);
  } finally {
    rmSync(aside, { force: true });
  }
  return path;
}
