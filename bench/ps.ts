/** `ps` of a few VMs against `podman ps -a` of as many containers: what a person types all day. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { RealHome } from "../test/support/real-home.ts";
import { type Row, ratioRow, summarise } from "./stats.ts";
import { must, spawn, timed } from "./tools.ts";

const MACHINES = 5;
const LOOKS = 20;

/** No row without podman: it says so on stderr. Its containers and images are kept under `scratch`. */
export async function benchPs(home: RealHome, scratch: string): Promise<Row[]> {
  const program = Bun.which("podman");
  if (program === null) {
    console.error("ps is not compared: podman is missing (cure: apt-get install podman)");
    return [];
  }
  const podman = [
    program,
    "--storage-driver=vfs",
    `--root=${join(scratch, "podman")}`,
    `--runroot=${join(scratch, "podman-run")}`,
    "--cgroup-manager=cgroupfs",
    "--events-backend=none",
  ];
  mkdirSync(join(scratch, "rootfs"));
  writeFileSync(join(scratch, "rootfs/hello"), "hello\n");
  const archive = join(scratch, "rootfs.tar");
  await spawn(["tar", "-C", join(scratch, "rootfs"), "-cf", archive, "."]);
  await spawn([...podman, "import", "-q", archive, "peer"]);
  for (let i = 0; i < MACHINES; i += 1) {
    await spawn([...podman, "create", "--network=none", `--name=peer-${i}`, "peer", "/hello"]);
    await must(home, ["create", "-q", "--no-start", "--name", `ps-${i}`]);
  }
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let i = 0; i < LOOKS; i += 1) {
    ours.push(await timed(async () => await must(home, ["ps", "-a"])));
    theirs.push(await timed(async () => await spawn([...podman, "ps", "-a"])));
  }
  await must(home, ["rm", ...Array.from({ length: MACHINES }, (_, i) => `ps-${i}`)]);
  return [
    ratioRow(
      `ps -a of ${MACHINES} VMs / podman ps -a of ${MACHINES} containers`,
      summarise(ours),
      summarise(theirs),
      0.5,
    ),
  ];
}
