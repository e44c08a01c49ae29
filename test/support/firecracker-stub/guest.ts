/** What runs in the simulated machine: an echo, the real agent in rehearsal, or nothing that listens. */
import { type ChildProcess, spawn } from "node:child_process";
import { rmSync } from "node:fs";
import { connect } from "node:net";
import { join } from "node:path";
import { type Duplex, PassThrough } from "node:stream";
import { watchForListener } from "../../../src/vmm/fake/listener-watch.ts";
import type { StubPlan } from "./plan.ts";

export interface Guest {
  /** A connection to a port of the guest; undefined when nobody listens there. */
  open(port: number): Promise<Duplex | undefined>;
  /** Resolves when it listens. */
  readonly ready: Promise<void>;
  pause(): void;
  resume(): void;
  /** As the guest's init would on ctrl-alt-del. */
  shutdown(): void;
  /** Ends it without asking. */
  kill(): void;
  /** Resolves when the guest has powered itself off. */
  readonly off: Promise<void>;
}

export function createGuest(plan: StubPlan): Guest {
  const off = Promise.withResolvers<void>();
  if (plan.guest === "agent") return createAgentGuest(plan, off);
  if (plan.guest === "quit") off.resolve();
  const listens = (port: number): boolean =>
    plan.guest === "echo" && (plan.port === undefined || plan.port === port);
  return {
    open: (port) => Promise.resolve(listens(port) ? new PassThrough() : undefined),
    ready: Promise.resolve(),
    pause: () => undefined,
    resume: () => undefined,
    shutdown: () => off.resolve(),
    kill: () => undefined,
    off: off.promise,
  };
}

function createAgentGuest(plan: StubPlan, off: PromiseWithResolvers<void>): Guest {
  const path = join(plan.dir, `a${process.pid}`);
  const watch = watchForListener(path);
  const child = spawnAgent(plan, path);
  child.once("exit", () => {
    watch[Symbol.dispose]();
    rmSync(path, { force: true });
    off.resolve();
  });
  const listening = watch.listening.finally(() => watch[Symbol.dispose]());
  return {
    async open(port) {
      if (plan.port !== undefined && plan.port !== port) return undefined;
      await listening;
      return connect({ path, allowHalfOpen: true });
    },
    ready: listening,
    pause: () => void child.kill("SIGSTOP"),
    resume: () => void child.kill("SIGCONT"),
    shutdown: () => void child.kill("SIGTERM"),
    kill() {
      child.kill("SIGKILL");
      rmSync(path, { force: true });
    },
    off: off.promise,
  };
}

/** The agent ends with the stub, as a guest ends with its hypervisor, however that ends. */
function spawnAgent(plan: StubPlan, path: string): ChildProcess {
  if (plan.agentPath === undefined) throw new Error("the plan has no agent");
  return spawn("setpriv", ["--pdeathsig", "KILL", plan.agentPath, "--serve-unix", path], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}
