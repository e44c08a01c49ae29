/**
 * Which operation is possible in which state: one table, walked whole by a test. A refused operation says what state
 * the VM is in and what to do.
 */
import { BangerError } from "./errors.ts";
import type { VmState } from "./vm.ts";

export const OPERATIONS = [
  "start",
  "stop",
  "restart",
  "kill",
  "pause",
  "resume",
  "set",
  "exec",
  "remove",
  "forceRemove",
  "snapshot",
  "restore",
  "fork",
] as const;
export type Operation = (typeof OPERATIONS)[number];

/**
 * `go`: do it. `done`: already so, nothing to do. A string after `no:` is the cure shown with the refusal.
 */
export type Verdict = "go" | "done" | `no:${string}`;

const WAIT = "no:wait until it is done; banger show NAME says how far it is";

export const TABLE: Readonly<Record<Operation, Readonly<Record<VmState, Verdict>>>> = {
  start: {
    stopped: "go",
    error: "go",
    running: "done",
    paused: "no:continue it with: banger resume NAME",
    starting: WAIT,
    stopping: WAIT,
  },
  stop: {
    stopped: "done",
    error: "go",
    running: "go",
    paused: "go",
    starting: "go",
    stopping: WAIT,
  },
  restart: {
    stopped: "go",
    error: "go",
    running: "go",
    paused: "go",
    starting: WAIT,
    stopping: WAIT,
  },
  kill: {
    stopped: "done",
    error: "go",
    running: "go",
    paused: "go",
    starting: "go",
    stopping: "go",
  },
  pause: {
    stopped: "no:start it with: banger start NAME",
    error: "no:see why with: banger show NAME; then: banger start NAME",
    running: "go",
    paused: "done",
    starting: WAIT,
    stopping: WAIT,
  },
  resume: {
    stopped: "no:start it with: banger start NAME",
    error: "no:see why with: banger show NAME; then: banger start NAME",
    running: "done",
    paused: "go",
    starting: WAIT,
    stopping: WAIT,
  },
  set: {
    stopped: "go",
    error: "go",
    running: "go",
    paused: "go",
    starting: WAIT,
    stopping: WAIT,
  },
  exec: {
    running: "go",
    stopped: "no:start it with: banger start NAME",
    error: "no:see why with: banger show NAME; then: banger start NAME",
    paused: "no:continue it with: banger resume NAME",
    starting: WAIT,
    stopping: "no:start it again with: banger start NAME",
  },
  remove: {
    stopped: "go",
    error: "go",
    running: "no:stop it first with: banger stop NAME; or remove it running with: banger rm -f NAME",
    paused: "no:stop it first with: banger stop NAME; or remove it with: banger rm -f NAME",
    starting: "no:stop it first with: banger stop NAME; or remove it with: banger rm -f NAME",
    stopping: WAIT,
  },
  forceRemove: {
    stopped: "go",
    error: "go",
    running: "go",
    paused: "go",
    starting: "go",
    stopping: "go",
  },
  snapshot: {
    stopped: "go",
    error: "no:see why with: banger show NAME; then: banger start NAME",
    running: "go",
    paused: "go",
    starting: WAIT,
    stopping: WAIT,
  },
  restore: {
    stopped: "go",
    error: "go",
    running: "go",
    paused: "go",
    starting: WAIT,
    stopping: WAIT,
  },
  fork: {
    stopped: "no:start it with: banger start NAME",
    error: "no:see why with: banger show NAME; then: banger start NAME",
    running: "go",
    paused: "no:continue it with: banger resume NAME",
    starting: WAIT,
    stopping: WAIT,
  },
};

/**
 * Decides an operation. Returns false when there is nothing left to do. Errors: `failed_precondition`, with the state
 * and the way out.
 */
export function decide(
  operation: Operation,
  vm: { readonly name: string; readonly state: VmState },
): boolean {
  const verdict = TABLE[operation][vm.state];
  if (verdict === "go") return true;
  if (verdict === "done") return false;
  throw new BangerError(
    "failed_precondition",
    `cannot ${WORDS[operation]} ${vm.name}: it is ${vm.state === "error" ? "in error" : vm.state}`,
    { cure: verdict.slice(3).replaceAll("NAME", vm.name), details: { state: vm.state, operation } },
  );
}

const WORDS: Readonly<Record<Operation, string>> = {
  start: "start",
  stop: "stop",
  restart: "restart",
  kill: "kill",
  pause: "pause",
  resume: "resume",
  set: "change",
  exec: "run a command in",
  remove: "remove",
  forceRemove: "remove",
  snapshot: "save",
  restore: "restore",
  fork: "fork",
};
