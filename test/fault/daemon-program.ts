/**
 * The daemon as a program of its own, with the fake hypervisor and the real guest agent in rehearsal. It notes every step that
 * it announces, and kills itself at the one it was told. Its one argument is a `DaemonOrders` as JSON.
 */
import { appendFileSync } from "node:fs";
import { runDaemon } from "../../src/daemon/main.ts";
import { createFakeDriver } from "../../src/vmm/fake/driver.ts";
import { agentProgram } from "../../src/vmm/fake/programs.ts";
import { Saboteur } from "./saboteur.ts";

export interface DaemonOrders {
  /** The descriptor on which it says that it serves. */
  readonly readyFd: number;
  /** Gets one line a step, written before the step is done. */
  readonly stepsPath: string;
  readonly agentPath: string;
  /** Stands for kernel and initramfs. */
  readonly bootPath: string;
  readonly crash?: CrashPoint | undefined;
  /** So many clean-ups fail before one succeeds. */
  readonly failCleanups?: number | undefined;
  /** What runs this program's other processes: the program and its arguments. */
  readonly self?: readonly string[] | undefined;
  /** The hypervisor takes network cards, and VMs are on the network. */
  readonly nics?: boolean | undefined;
}

/** SIGKILL when `step` is announced for the n-th time, counted from 1. */
export interface CrashPoint {
  readonly step: string;
  readonly occurrence: number;
}

const orders = JSON.parse(process.argv[2] ?? "") as DaemonOrders;
const { readyFd, stepsPath, agentPath, bootPath, crash, self, failCleanups = 0, nics = false } = orders;
const saboteur = new Saboteur("saboteur");
saboteur.fail("cleanup", failCleanups);
let met = 0;

await runDaemon({
  version: "0.0.0-fault",
  agentPath,
  self,
  readyFd,
  drivers: [createFakeDriver({ program: agentProgram(agentPath), features: { nics } })],
  bootFiles: async () => ({ kernelPath: bootPath, initramfsPath: bootPath }),
  bootDeadlineMs: 20_000,
  templateQuietMs: 0,
  capabilities: failCleanups === 0 ? [] : [saboteur.capability],
  onStep: (step) => {
    appendFileSync(stepsPath, `${step}\n`);
    if (step !== crash?.step) return;
    met += 1;
    // A signal to oneself is delivered before kill(2) returns: nothing after this line runs.
    if (met === crash.occurrence) process.kill(process.pid, "SIGKILL");
  },
});
