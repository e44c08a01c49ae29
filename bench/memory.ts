/** What a process has of memory that no other has. */
import { readFileSync } from "node:fs";

/** The private memory of a QEMU that has a machine and no guest, MiB. */
export async function emptyQemuMib(program: string): Promise<number> {
  const argv = [program, "-M", "q35", "-m", "512M", "-nodefaults", "-display", "none", "-S", "-qmp", "stdio"];
  const child = Bun.spawn(argv, { stdin: "pipe", stdout: "pipe", stderr: "inherit" });
  // Its greeting comes when the machine is complete.
  await child.stdout.getReader().read();
  const alone = privateMib(child.pid);
  child.kill("SIGKILL");
  await child.exited;
  return alone;
}

/** Pages that no other process has (proc(5), smaps_rollup). */
export function privateMib(pid: number): number {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "utf8");
  const kib = [...text.matchAll(/^Private_(?:Clean|Dirty):\s+([0-9]+)/gm)];
  return kib.reduce((sum, match) => sum + Number(match[1]), 0) / 1024;
}
