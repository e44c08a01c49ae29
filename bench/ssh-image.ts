/** An image with an ssh server, for what is compared with ssh: made once from Debian's packages, by Debian's own tool. */
import { existsSync, mkdirSync, renameSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { ROOT, spawn } from "./tools.ts";

const PACKAGES = ["openssh-server", "rsync", "git"];
const MADE = join(ROOT, `node_modules/.cache/banger-bench/${PACKAGES.join("-")}.tar`);

/** The archive's path. `BANGER_BENCH_SSH_IMAGE` names another one. */
export async function sshImage(): Promise<string> {
  const given = process.env["BANGER_BENCH_SSH_IMAGE"];
  if (given !== undefined) return given;
  if (existsSync(MADE)) return MADE;
  mkdirSync(dirname(MADE), { recursive: true });
  const aside = join(dirname(MADE), "new.tar");
  rmSync(aside, { force: true });
  await spawn([
    "mmdebstrap",
    "--quiet",
    "--variant=minbase",
    `--include=${PACKAGES.join(",")}`,
    "bookworm",
    aside,
  ]);
  renameSync(aside, MADE);
  return MADE;
}
