/** Running commands in a VM. Guest I/O never takes the VM's lock. */
import { randomBytes } from "node:crypto";
import type { Agent } from "../guest/agent.ts";
import type { AgentStream, StreamHandlers } from "../guest/stream.ts";
import { withDeadline } from "../lib/deadline.ts";
import { initCommand } from "../model/init.ts";
import type { Builtin, ExecSpec, ImageConfig } from "../model/spec.ts";
import { decide } from "../model/state-machine.ts";
import type { VmRecord } from "../model/vm.ts";
import { whileUsed } from "./auto-stop.ts";
import type { VmContext } from "./context.ts";
import { liveVm } from "./pause.ts";

/** Opens bash where the image has it, else sh; decided in the guest without a fork. */
const LOGIN_SHELL = ["/bin/sh", "-c", "command -v bash >/dev/null 2>&1 && exec bash -l; exec sh -l"];
/** How long an exec waits for an agent whose connection is being made anew. */
const AGENT_WAIT_MS = 15_000;

/** A command as a client asks for it. */
export interface ExecWish {
  readonly argv?: readonly string[] | undefined;
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
  readonly user?: string | undefined;
  readonly tty?: ExecSpec["tty"];
  readonly timeoutMs?: number | undefined;
  /** See `ExecSpec`. */
  readonly stopSignal?: string | undefined;
  readonly builtin?: Builtin | undefined;
}

/**
 * Starts a command in a running VM and returns its stream. Errors: `failed_precondition` (state), `unavailable` (the agent does
 * not answer); what is wrong with the command itself comes through the stream's result.
 */
export async function execInVm(
  ctx: VmContext,
  vm: VmRecord,
  wish: ExecWish,
  handlers: StreamHandlers,
): Promise<AgentStream> {
  return await whileUsed(ctx, vm.id, async () => {
    const { agent, spec } = await prepareExec(ctx, vm, wish);
    return agent.exec(execId(), spec, handlers);
  });
}

/** Starts a command that belongs to no client. Errors: those of `execInVm`, and what is wrong with the command. */
export async function execDetached(
  ctx: VmContext,
  vm: VmRecord,
  wish: ExecWish,
): Promise<{ id: string; pid: number }> {
  using _use = ctx.idle.use(vm.id);
  const { agent, spec } = await prepareExec(ctx, vm, wish);
  const id = execId();
  return { id, pid: await agent.execDetached(id, spec) };
}

/** Joins a detached command; see `Agent.attach`. */
export async function attachToExec(
  ctx: VmContext,
  vm: VmRecord,
  target: { readonly id: string; readonly handlers: StreamHandlers },
): Promise<AgentStream> {
  return await whileUsed(ctx, vm.id, async () => {
    decide("exec", vm);
    const agent = await reachAgent(vm, liveVm(ctx, vm).agent());
    return agent.attach(target.id, target.handlers);
  });
}

async function prepareExec(
  ctx: VmContext,
  vm: VmRecord,
  wish: ExecWish,
): Promise<{ agent: Agent; spec: ExecSpec }> {
  decide("exec", vm);
  const agent = await reachAgent(vm, liveVm(ctx, vm).agent());
  const { config } = await ctx.images.byDigest(vm.imageDigest);
  const { env } = vm.startedSpec ?? vm.spec;
  // Only root surely comes into root's home, where workspaces are.
  const isRoot = /^(root|0)?(:|$)/.test(wish.user ?? config.user ?? "");
  const workspace = wish.cwd === undefined ? ctx.store.workspaces.byVm(vm.id)?.guestPath : undefined;
  const cwd = isRoot ? (wish.cwd ?? workspace) : wish.cwd;
  // A guest that goes on from a saved machine has the environment of that one.
  const spec = execSpec({ ...wish, cwd, env: { ...env, ...wish.env } }, config);
  return { agent, spec: isRoot ? spec : { ...spec, enter: workspace } };
}

function execId(): string {
  return randomBytes(6).toString("hex");
}

/** Settles a wish against the image: its user and directory, and a shell when there is no command. */
export function execSpec(wish: ExecWish, image: ImageConfig): ExecSpec {
  const argv = wish.argv === undefined || wish.argv.length === 0 ? LOGIN_SHELL : wish.argv;
  return {
    argv,
    env: wish.env ?? {},
    cwd: wish.cwd ?? image.workdir,
    user: wish.user ?? image.user,
    tty: wish.tty,
    timeoutMs: wish.timeoutMs ?? 0,
    stopSignal: wish.stopSignal,
    builtin: wish.builtin,
  };
}

/**
 * The command line of a `run`: the image's entrypoint before what was asked for, or its default command. An init is none of either: it
 * is process 1 or nothing.
 */
export function runArgv(asked: readonly string[], image: ImageConfig): readonly string[] {
  if (initCommand(image) !== undefined) return asked;
  return [...(image.entrypoint ?? []), ...(asked.length > 0 ? asked : (image.cmd ?? []))];
}

/** Waits for the agent, but not for long. Errors: `timeout`, and those of `LiveVm.agent`. */
export async function reachAgent(vm: VmRecord, agent: Promise<Agent>): Promise<Agent> {
  return await withDeadline(agent, { ms: AGENT_WAIT_MS, what: `the agent of ${vm.name}` });
}
