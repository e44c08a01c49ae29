/** The daemon as a process: started on a home that the test shares with it, watched, and killed. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { createLayout, findLayout, type Layout } from "../../src/host/layout.ts";
import { Client } from "../../src/sdk/client.ts";
import { openStore } from "../../src/store/store.ts";
import { AGENT } from "../support/agent.ts";
import type { OrdinaryUser } from "../support/ordinary-user.ts";
import { addImage } from "../support/test-image.ts";
import { chownTree } from "../support/trees.ts";
import type { DaemonOrders } from "./daemon-program.ts";
import { IMAGE } from "./operation.ts";
import { leftovers } from "./truth.ts";

const READY_FD = 3;
const MAIN = join(import.meta.dir, "../../src/main.ts");

/** The program in one file, which starts in two thirds of the time of its many modules. */
let bundle: Promise<string> | undefined;

export interface FaultHome extends AsyncDisposable {
  readonly layout: Layout;
  /** What belongs to the test and not to banger: the program, its boot files, the steps that it has announced. */
  readonly controlDir: string;
}

/**
 * Makes a home with one image and no VM, at `path` when given (there may be nothing yet), and gives it to the user `owner`. Disposing
 * deletes it, and ends what still runs there.
 */
export async function createFaultHome(
  path: string = mkdtempSync(join(tmpdir(), "banger-fault-")),
  owner?: number,
): Promise<FaultHome> {
  const uid = process.getuid?.() ?? 0;
  const layout = findLayout({ BANGER_HOME: path }, uid);
  createLayout(layout, uid);
  const controlDir = mkdtempSync(join(tmpdir(), "banger-control-"));
  bundle ??= bundleProgram();
  writeFileSync(join(controlDir, "daemon.js"), await bundle);
  for (const name of ["boot-file", "steps"]) writeFileSync(join(controlDir, name), "");
  {
    using store = openStore(layout.database);
    await addImage(layout, store, { name: IMAGE, config: {} });
  }
  if (owner !== undefined) for (const dir of [path, controlDir]) chownTree(dir, owner);
  return {
    layout,
    controlDir,
    async [Symbol.asyncDispose]() {
      // Only after a failure: whoever succeeds has looked for leftovers before.
      for (const pid of leftovers(layout).pids) process.kill(pid, "SIGKILL");
      for (const dir of [path, controlDir]) rmSync(dir, { recursive: true, force: true });
    },
  };
}

export interface DaemonProcess extends AsyncDisposable {
  readonly client: Client;
  /** `ready`, or the error that kept it from serving as JSON; empty when it died before either. */
  readonly greeting: string;
  /** Resolves with the signal that ended it, or its exit code. */
  readonly ended: Promise<string | number>;
  /** The steps that it has announced so far. */
  steps(): string[];
  kill(): void;
}

/** Whose the daemon is, when not the test's own user's. */
type DaemonUser = Pick<OrdinaryUser, "enter" | "seen">;

const HIMSELF: DaemonUser = { enter: [], seen: (path) => path };

export interface DaemonFaults extends Pick<DaemonOrders, "crash" | "failCleanups" | "nics"> {
  /** How many templates are kept. */
  readonly templates?: string | undefined;
  readonly user?: DaemonUser | undefined;
  /** How many machines of the size of the test's VM are kept ready. */
  readonly pool?: Readonly<Record<string, number>> | undefined;
}

/** Starts a daemon and waits until it serves or has ended. Disposing kills it; its VMs live on. */
export async function startDaemon(
  { layout, controlDir }: FaultHome,
  { templates = "0", pool = {}, user = HIMSELF, ...faults }: DaemonFaults = {},
): Promise<DaemonProcess> {
  const stepsPath = join(controlDir, "steps");
  writeFileSync(stepsPath, "");
  const orders: DaemonOrders = {
    readyFd: READY_FD,
    stepsPath,
    agentPath: user.seen(AGENT),
    self: [user.seen(process.execPath), user.seen(MAIN)],
    bootPath: join(controlDir, "boot-file"),
    ...faults,
  };
  const program = [user.seen(process.execPath), join(controlDir, "daemon.js"), JSON.stringify(orders)];
  const [command = "", ...args] = [...user.enter, ...program];
  const child = spawn(command, args, {
    cwd: "/",
    env: {
      ...process.env,
      BANGER_HOME: layout.stateDir,
      BANGER_TEMPLATES_MAX_COUNT: templates,
      BANGER_WARM_POOL: JSON.stringify(pool),
      BANGER_VM_DEFAULTS_MEMORY: "128M",
      BANGER_VM_DEFAULTS_DISK: "64M",
    },
    stdio: ["ignore", "ignore", "ignore", "pipe"],
  });
  const ended = new Promise<string | number>((resolve) => {
    child.once("exit", (code, signal) => resolve(signal ?? code ?? -1));
  });
  return {
    greeting: await firstLine(child.stdio[READY_FD] as Readable),
    client: await Client.create(layout.socket),
    ended,
    steps: () => readFileSync(stepsPath, "utf8").split("\n").slice(0, -1),
    kill: () => child.kill("SIGKILL"),
    async [Symbol.asyncDispose]() {
      child.kill("SIGKILL");
      await ended;
    },
  };
}

async function firstLine(pipe: Readable): Promise<string> {
  let text = "";
  for await (const bytes of pipe as AsyncIterable<Buffer>) {
    text += bytes.toString("utf8");
    if (text.includes("\n")) break;
  }
  return text.trim();
}

async function bundleProgram(): Promise<string> {
  const entrypoints = [join(import.meta.dir, "daemon-program.ts")];
  // As in scripts/build.ts: ssh2 does without its compiled parts, which are not installed.
  const external = ["*.node"];
  const { outputs } = await Bun.build({ entrypoints, target: "bun", minify: true, external });
  const [program] = outputs;
  if (program === undefined) throw new Error("bundling the daemon's program gave nothing");
  return await program.text();
}
